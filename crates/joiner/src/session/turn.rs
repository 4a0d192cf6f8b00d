//! One turn of one partition: its next records are processed.

use std::time::{Duration, Instant};

use join::WallTime;
use models::EventTime;
use rdkafka::error::KafkaError;
use tracing::{debug, warn};

use super::Session;
use crate::consumer_record::ConsumerRecord;
use crate::group::{AssignedPartition, TURN};
use crate::processor::{Processed, Processor};
use crate::schemas::SchemaLookup;
use crate::source_partition::SourcePartition;

impl Session<'_> {
    /// Processes the next records of a partition. Returns how many.
    pub(super) fn read(&mut self, index: usize, now: WallTime) -> usize {
        let Self { env, partitions, processor, .. } = self;
        let assigned = &mut partitions[index];
        let source = assigned.source;
        if assigned.is_paused {
            processor.paused(source, now);
            return 0;
        }
        let mut turn = Turn::default();
        if let Some((message, id)) = assigned.awaits_schema.take() {
            if env.schemas.look_up(id) == SchemaLookup::Pending {
                processor.restart_idle(Some(source.task(env.topology.tasks())), now);
                assigned.awaits_schema = Some((message, id));
                return 0;
            }
            let record = ConsumerRecord::from(&message);
            if let Processed::NeedsSchema(id) = turn.process(processor, source, &record, now) {
                assigned.awaits_schema = Some((message, id));
                return 0;
            }
        }
        while turn.records < TURN {
            match assigned.queue.poll(Duration::ZERO) {
                Some(Ok(message)) => {
                    let record = ConsumerRecord::from(&message);
                    if let Processed::NeedsSchema(id) =
                        turn.process(processor, source, &record, now)
                    {
                        debug!(schema = %id, topic = assigned.topic, "a row waits for its schema");
                        assigned.awaits_schema = Some((message.detach(), id));
                        break;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    processor.end(source, now);
                    turn.at_end = true;
                }
                Some(Err(error)) => {
                    warn!(topic = assigned.topic, partition = assigned.partition, %error, "reading");
                    break;
                }
                None => break,
            }
        }
        turn.note_in(assigned, now);
        turn.records
    }
}

/// What a turn has brought.
#[derive(Debug, Default)]
struct Turn {
    /// Records processed.
    records: usize,
    /// The offset behind the last one.
    next_offset: Option<i64>,
    /// The timestamp of the last one that has a timestamp.
    last_timestamp_ms: Option<i64>,
    /// Whether nothing lies behind them.
    at_end: bool,
}

impl Turn {
    /// Processes a record, whether it was just read or has waited for its schema.
    fn process(
        &mut self,
        processor: &mut Processor<'_>,
        source: SourcePartition,
        record: &ConsumerRecord<'_>,
        now: WallTime,
    ) -> Processed {
        let processed = processor.process(source, record, now);
        if processed == Processed::Done {
            processor.transactions.count_row();
            self.records += 1;
            self.next_offset = Some(record.offset + 1);
            self.last_timestamp_ms = record.timestamp_ms.or(self.last_timestamp_ms);
            self.at_end = false;
        }
        processed
    }

    fn note_in(&self, assigned: &mut AssignedPartition, now: WallTime) {
        if let Some(next_offset) = self.next_offset {
            assigned.next_offset = next_offset;
            assigned.uncommitted = true;
            let last = self.last_timestamp_ms;
            let last = last.map(|ms| EventTime::from_millis(ms.min(now.as_millis())));
            assigned.time.advance(self.records, last);
        }
        if self.at_end {
            assigned.stall_timer.end(Instant::now());
        } else if self.records > 0 {
            assigned.stall_timer.rows(Instant::now());
        }
    }
}
