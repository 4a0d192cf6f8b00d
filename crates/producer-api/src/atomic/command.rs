//! A request whose records are made before they are sent: from the command to records and answer.

use avro_schemas::EncodeError;
use models::commands::{GenerateDriverEarning, GenerateRider, GenerateTrip};
use serde::Serialize;

use super::encoded_records::EncodedRecords;
use crate::draw::{DrawSource, OneRecord};
use crate::publisher::{Publisher, Routed};
use crate::trip_cost::{RECORDS_PER_TRIP, TRIPS_PER_TURN};
use crate::{capacity, json};

/// What is to be made.
#[derive(Debug)]
pub(crate) enum GenerateCommand {
    Trip(GenerateTrip),
    DriverEarning(GenerateDriverEarning),
    Rider(GenerateRider),
    CompleteTrip,
    Trips { number: u32, shape: AnswerShape },
}

/// How several trips are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerShape {
    /// One JSON array.
    Array,
    /// One JSON object a line.
    Lines,
}

impl From<GenerateTrip> for GenerateCommand {
    fn from(command: GenerateTrip) -> Self {
        Self::Trip(command)
    }
}

impl From<GenerateDriverEarning> for GenerateCommand {
    fn from(command: GenerateDriverEarning) -> Self {
        Self::DriverEarning(command)
    }
}

impl From<GenerateRider> for GenerateCommand {
    fn from(command: GenerateRider) -> Self {
        Self::Rider(command)
    }
}

impl GenerateCommand {
    /// How many numbers of the generator it takes.
    pub(crate) const fn numbers(&self) -> u32 {
        match self {
            Self::Trips { number, .. } => *number,
            _ => 1,
        }
    }

    /// Whether its answer is a trip a line.
    pub(crate) const fn answers_lines(&self) -> bool {
        matches!(self, Self::Trips { shape: AnswerShape::Lines, .. })
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

    /// Makes the records: encoded, unless they are written already, and as an answer.
    pub(crate) async fn draw(
        &self,
        source: DrawSource,
        publisher: &Publisher,
        mut encoded: Option<&mut EncodedRecords>,
    ) -> Result<Vec<u8>, EncodeError> {
        let DrawSource { generator, first, completion } = source;
        let mut answer = Vec::new();
        match self {
            Self::Trip(given) => {
                single(publisher, &given.clone().draw(source), encoded, &mut answer)?;
            }
            Self::DriverEarning(given) => {
                single(publisher, &given.clone().draw(source), encoded, &mut answer)?;
            }
            Self::Rider(given) => {
                single(publisher, &given.clone().draw(source), encoded, &mut answer)?;
            }
            Self::CompleteTrip => {
                let trip = generator.complete_trip(first, completion);
                if let Some(encoded) = encoded {
                    encoded.push_trip(publisher, &trip)?;
                }
                json::write(&mut answer, &trip);
            }
            Self::Trips { number, shape } => {
                shape.open(&mut answer);
                for i in 0..*number {
                    if i > 0 {
                        shape.between(&mut answer);
                        if i % TRIPS_PER_TURN == 0 {
                            tokio::task::yield_now().await;
                        }
                    }
                    let trip = generator.complete_trip(first + u64::from(i), completion);
                    if let Some(encoded) = &mut encoded {
                        encoded.push_trip(publisher, &trip)?;
                    }
                    json::write(&mut answer, &trip);
                }
                shape.close(&mut answer);
            }
        }
        Ok(answer)
    }
}

fn single<T: Routed + Serialize>(
    publisher: &Publisher,
    record: &T,
    encoded: Option<&mut EncodedRecords>,
    answer: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    if let Some(encoded) = encoded {
        encoded.push(publisher, record)?;
    }
    json::write(answer, record);
    Ok(())
}

impl AnswerShape {
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
