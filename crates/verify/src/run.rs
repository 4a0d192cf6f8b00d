//! Reading the streams into the ledger, once or until the joiner has caught up.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use avro_schemas::{RegistryClient, SchemaCache};
use kafka::headers::{self, ERROR_OFFSET, ERROR_PARTITION, ERROR_TOPIC, REASON};
use models::records::{DriverEarning, JoinedStream, Rider, Trip, UnmatchedTrip};
use models::topics::Topics;
use models::{EventTime, Partition, Side};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Timestamp};
use service::Shutdown;
use tokio::runtime::Handle;
use tracing::info;

use crate::config::Config;
use crate::consume::{self, ConsumeError, Next, Range};
use crate::decode::{ValueError, Values};
use crate::error::VerifyError;
use crate::judge::judge;
use crate::ledger::Ledger;
use crate::report::Report;
use crate::rows::{Input, Place};
use crate::snapshot::{self, Bounds, Snapshot};
use crate::verdict::{Fate, Verdict};

/// Pause between two looks at what has been added.
const PAUSE: Duration = Duration::from_millis(500);

/// Reads the three inputs and the three outputs to their ends as they are now, and judges them.
///
/// With [`Config::wait`], reads on what is added until no row is open or the time is over.
///
/// # Errors
///
/// [`VerifyError`] if the streams can't be read. What is wrong with them is in the report.
pub async fn run(config: &Config, shutdown: &Shutdown) -> Result<Report, VerifyError> {
    let started = Instant::now();
    let mut reading = Reading {
        values: Some(Values::new(
            SchemaCache::new(RegistryClient::new(&config.registry)?),
            Handle::current(),
        )),
        ledger: Ledger::default(),
        next: BTreeMap::new(),
    };
    loop {
        let snapshot = snapshot::take(config, shutdown).await?;
        let progress = snapshot.progress.clone();
        let absent = snapshot.absent.clone();
        let rules = config.rules();
        let (config_, shutdown_) = (config.clone(), shutdown.clone());
        let work = move || -> Result<(Reading, Verdict), VerifyError> {
            reading.read(&config_, &snapshot, &shutdown_)?;
            let verdict = judge(&reading.ledger, &rules, &snapshot.progress);
            Ok((reading, verdict))
        };
        let verdict;
        (reading, verdict) =
            tokio::task::spawn_blocking(work).await.expect("judging doesn't panic")?;
        let unread = verdict.fates.total(Fate::Unread) + progress.forwarded;
        let over = config.wait.is_none_or(|wait| started.elapsed() >= wait);
        // What is missing may only be on its way, while the joiner is at work.
        let settled = verdict.fates.open() == 0 && verdict.is_clean() && progress.forwarded == 0;
        if settled || over {
            let caught_up = unread == 0;
            return Ok(Report {
                verdict,
                absent,
                caught_up,
                waited: config.wait.is_some(),
                window: config.joiner.window,
            });
        }
        info!(unread, waiting = verdict.fates.total(Fate::Waiting), "rows are open; reading on");
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = shutdown.wait() => return Err(ConsumeError::Interrupted.into()),
        }
    }
}

struct Reading {
    values: Option<Values>,
    ledger: Ledger,
    /// Where to read on, by topic and partition.
    next: BTreeMap<(String, Partition), i64>,
}

impl Reading {
    fn read(
        &mut self,
        config: &Config,
        snapshot: &Snapshot,
        shutdown: &Shutdown,
    ) -> Result<(), VerifyError> {
        let values = self.values.take().expect("it is put back below");
        let topics = &config.topics;
        for side in Side::ALL {
            let name = &topics.input(side).name;
            self.topic(config, name, snapshot.input(side), shutdown, |ledger, message| {
                input(ledger, &values, side, message)
            })?;
        }
        let [joined, unmatched, rejects] = topics.outputs().map(|topic| &topic.name);
        let [joined_bounds, unmatched_bounds, reject_bounds] = &snapshot.outputs;
        self.topic(config, joined, joined_bounds, shutdown, |ledger, message| {
            output(ledger, &values, message, |ledger, place, ts, row: &JoinedStream| {
                ledger.joined(place, ts, row);
            })
        })?;
        self.topic(config, unmatched, unmatched_bounds, shutdown, |ledger, message| {
            output(ledger, &values, message, |ledger, place, ts, row: &UnmatchedTrip| {
                ledger.unmatched(place, ts, row);
            })
        })?;
        self.topic(config, rejects, reject_bounds, shutdown, |ledger, message| {
            reject(ledger, topics, &config.joiner.repartition_topic, message);
            Ok(())
        })?;
        self.values = Some(values);
        Ok(())
    }

    /// Reads what has been added to one topic.
    fn topic(
        &mut self,
        config: &Config,
        topic: &str,
        bounds: &Bounds,
        shutdown: &Shutdown,
        mut row: impl FnMut(&mut Ledger, &BorrowedMessage<'_>) -> Result<(), VerifyError>,
    ) -> Result<(), VerifyError> {
        let mut ranges = Vec::new();
        for (partition, (low, high)) in bounds {
            let next = self.next.entry((topic.to_owned(), *partition)).or_insert(*low);
            ranges.push(Range { partition: *partition, from: *next, to: Some(*high) });
            *next = (*high).max(*next);
        }
        let ledger = &mut self.ledger;
        consume::read(&config.kafka, topic, &ranges, shutdown, |message| {
            row(ledger, message)?;
            Ok::<_, VerifyError>(Next::Continue)
        })
    }
}

fn place(message: &BorrowedMessage<'_>) -> Place {
    Place { partition: message.partition(), offset: message.offset() }
}

fn input(
    ledger: &mut Ledger,
    values: &Values,
    side: Side,
    message: &BorrowedMessage<'_>,
) -> Result<(), VerifyError> {
    let place = place(message);
    let Some(value) = message.payload() else {
        ledger.unreadable_input(side, place, "it has no value (a tombstone)");
        return Ok(());
    };
    let read = match side {
        Side::Trip => values.read::<Trip>(value).map(Input::Trip),
        Side::Driver => values.read::<DriverEarning>(value).map(Input::Driver),
        Side::Rider => values.read::<Rider>(value).map(Input::Rider),
    };
    match read {
        Ok(input) if input.trip_id().is_empty() => {
            ledger.unreadable_input(side, place, "its trip_id is empty");
        }
        Ok(input) => {
            let ts = message.timestamp().to_millis().map(EventTime::from_millis);
            ledger.input(place, ts, &input);
        }
        Err(ValueError::Row(error)) => {
            ledger.unreadable_input(side, place, error.to_string());
        }
        Err(ValueError::Outage(error)) => return Err(error.into()),
    }
    Ok(())
}

fn output<T: avro_schemas::Record>(
    ledger: &mut Ledger,
    values: &Values,
    message: &BorrowedMessage<'_>,
    row: impl FnOnce(&mut Ledger, Place, Option<EventTime>, &T),
) -> Result<(), VerifyError> {
    let Some(value) = message.payload() else {
        let which = format!("{}/{}", message.topic(), place(message));
        ledger.unreadable_output(which, "it has no value (a tombstone)".to_owned());
        return Ok(());
    };
    match values.read::<T>(value) {
        Ok(record) => {
            // A broker that stamps the rows itself tells nothing of the rows' times.
            let ts = match message.timestamp() {
                Timestamp::CreateTime(ms) => Some(EventTime::from_millis(ms)),
                Timestamp::LogAppendTime(_) | Timestamp::NotAvailable => None,
            };
            row(ledger, place(message), ts, &record);
            Ok(())
        }
        Err(ValueError::Row(error)) => {
            let which = format!("{}/{}", message.topic(), place(message));
            ledger.unreadable_output(which, error.to_string());
            Ok(())
        }
        Err(ValueError::Outage(error)) => Err(error.into()),
    }
}

fn reject(
    ledger: &mut Ledger,
    topics: &Topics,
    repartition_topic: &str,
    message: &BorrowedMessage<'_>,
) {
    let text = |name| {
        headers::last(message.headers(), name).and_then(|value| std::str::from_utf8(value).ok())
    };
    let number = |name| text(name).and_then(|text| text.parse::<i64>().ok());
    let topic = text(ERROR_TOPIC).unwrap_or_default();
    if topic == repartition_topic {
        ledger.rejected_internal();
        return;
    }
    let side = Side::ALL.into_iter().find(|side| topics.input(*side).name == topic);
    let partition = number(ERROR_PARTITION).and_then(|number| Partition::try_from(number).ok());
    if let (Some(side), Some(partition), Some(offset)) = (side, partition, number(ERROR_OFFSET)) {
        let origin = Place { partition, offset };
        ledger.rejected(place(message), side, origin, text(REASON).unwrap_or("(none given)"));
    } else {
        let which = format!("{}/{}", message.topic(), place(message));
        ledger.unreadable_output(which, "its headers name no row of an input".to_owned());
    }
}
