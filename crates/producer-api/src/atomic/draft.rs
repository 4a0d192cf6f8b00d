//! A request whose records are made before they are sent: from the command to rows and answer.

use avro_schemas::EncodeError;
use chrono::{DateTime, Utc};
use generator::Generator;
use models::commands::{GenerateDriverEarning, GenerateRider, GenerateTrip};
use serde::Serialize;

use super::rows::Rows;
use crate::api::{TRIPS_PER_TURN, write_json};
use crate::config::RECORDS_PER_TRIP;
use crate::filled;
use crate::publisher::{Publisher, Routed, capacity};

/// What is to be made.
#[derive(Debug)]
pub(crate) enum Command {
    Trip(GenerateTrip),
    DriverEarning(GenerateDriverEarning),
    Rider(GenerateRider),
    CompleteTrip,
    Trips { number: u32, shape: Shape },
}

/// How several trips are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One JSON array.
    Array,
    /// One JSON object a line.
    Lines,
}

/// What the records are drawn from. The same source makes the same records of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    pub(crate) generator: Generator,
    /// The number of the first record or trip.
    pub(crate) first: u64,
    pub(crate) completion: DateTime<Utc>,
}

impl Command {
    /// How many numbers of the generator it takes.
    pub(crate) const fn numbers(&self) -> u32 {
        match self {
            Self::Trips { number, .. } => *number,
            _ => 1,
        }
    }

    /// How many records it makes.
    pub(crate) const fn records(&self) -> u32 {
        match self {
            Self::Trips { number, .. } => *number * RECORDS_PER_TRIP,
            Self::CompleteTrip => RECORDS_PER_TRIP,
            Self::Trip(_) | Self::DriverEarning(_) | Self::Rider(_) => 1,
        }
    }

    /// The room that its records take, given the size of its body: values in it may be as long as that.
    pub(crate) fn room(&self, body_bytes: usize) -> u32 {
        match self {
            Self::Trip(_) | Self::DriverEarning(_) | Self::Rider(_) => {
                1 + capacity::units(body_bytes)
            }
            _ => self.records(),
        }
    }

    /// Makes the records: as rows, unless they are written already, and as an answer.
    pub(crate) async fn draw(
        &self,
        source: Source,
        publisher: &Publisher,
        mut rows: Option<&mut Rows>,
    ) -> Result<Vec<u8>, EncodeError> {
        let Source { generator, first, completion } = source;
        let mut json = Vec::new();
        match self {
            Self::Trip(given) => {
                let drawn = generator.trip(first, completion);
                let record = filled::trip(drawn, given.clone(), completion);
                single(publisher, &record, rows, &mut json)?;
            }
            Self::DriverEarning(given) => {
                let record = filled::driver_earning(generator.driver_earning(first), given.clone());
                single(publisher, &record, rows, &mut json)?;
            }
            Self::Rider(given) => {
                let record = filled::rider(generator.rider(first), given.clone());
                single(publisher, &record, rows, &mut json)?;
            }
            Self::CompleteTrip => {
                let trip = generator.complete_trip(first, completion);
                if let Some(rows) = rows {
                    rows.push_trip(publisher, &trip)?;
                }
                write_json(&mut json, &trip);
            }
            Self::Trips { number, shape } => {
                shape.open(&mut json);
                for i in 0..*number {
                    if i > 0 {
                        shape.between(&mut json);
                        if i % TRIPS_PER_TURN == 0 {
                            tokio::task::yield_now().await;
                        }
                    }
                    let trip = generator.complete_trip(first + u64::from(i), completion);
                    if let Some(rows) = &mut rows {
                        rows.push_trip(publisher, &trip)?;
                    }
                    write_json(&mut json, &trip);
                }
                shape.close(&mut json);
            }
        }
        Ok(json)
    }
}

fn single<T: Routed + Serialize>(
    publisher: &Publisher,
    record: &T,
    rows: Option<&mut Rows>,
    json: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    if let Some(rows) = rows {
        rows.push(publisher, record)?;
    }
    write_json(json, record);
    Ok(())
}

impl Shape {
    fn open(self, json: &mut Vec<u8>) {
        if self == Self::Array {
            json.push(b'[');
        }
    }

    fn between(self, json: &mut Vec<u8>) {
        json.push(if self == Self::Array { b',' } else { b'\n' });
    }

    fn close(self, json: &mut Vec<u8>) {
        match self {
            Self::Array => json.push(b']'),
            Self::Lines if json.is_empty() => {}
            Self::Lines => json.push(b'\n'),
        }
    }
}
