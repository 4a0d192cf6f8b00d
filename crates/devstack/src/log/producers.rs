//! The idempotent and transactional producers of a log (KIP-98; Kafka's `ProducerStateManager` and
//! `ProducerAppendInfo`).

use std::collections::{BTreeSet, HashMap, VecDeque};

use kafka_protocol::error::ResponseError;
use serde::{Deserialize, Serialize};

use crate::batch::BatchHeader;
use crate::clock::Millis;

/// So many batches of a producer are kept to recognize duplicates. A client may have as many in flight.
const REMEMBERED: usize = 5;

/// An appended batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Appended {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
    timestamp: Millis,
}

/// A producer of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Producer {
    epoch: i16,
    batches: VecDeque<Appended>,
    /// Offset of the first record of its open transaction.
    open_since: Option<i64>,
    last_append: Millis,
}

/// What to do with an acceptable batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AppendVerdict {
    /// Append it: it is new.
    Append,
    /// It was appended before, at this offset and with this timestamp: the client sent it again without having received
    /// the answer.
    Duplicate { base_offset: i64, timestamp: Millis },
}

/// A producer, as DescribeProducers returns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Active {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    /// `None` if it has written nothing in its epoch.
    pub(crate) last_sequence: Option<i32>,
    pub(crate) last_append: Millis,
    /// Offset of the first record of its open transaction.
    pub(crate) open_since: Option<i64>,
}

/// The producers of one log.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    by_id: HashMap<i64, Producer>,
    /// The first offsets of the open transactions.
    open: BTreeSet<i64>,
}

impl Producers {
    /// Adds a stored producer.
    pub(crate) fn restore(&mut self, producer_id: i64, producer: Producer) {
        self.open.extend(producer.open_since);
        self.by_id.insert(producer_id, producer);
    }

    /// Checks whether a batch follows the previous batches of its producer.
    ///
    /// # Errors
    ///
    /// `INVALID_PRODUCER_EPOCH` from a producer that was fenced; `OUT_OF_ORDER_SEQUENCE_NUMBER` if a batch is missing
    /// before it; `INVALID_TXN_STATE` if it is not transactional while a transaction is open.
    pub(crate) fn check(&self, batch: &BatchHeader) -> Result<AppendVerdict, ResponseError> {
        if batch.producer_id < 0 {
            return Ok(AppendVerdict::Append);
        }
        // An unknown producer, which is new or whose records are deleted, may start at any sequence number.
        let Some(producer) = self.by_id.get(&batch.producer_id) else {
            return Ok(AppendVerdict::Append);
        };
        if batch.producer_epoch < producer.epoch {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        if producer.open_since.is_some() && !batch.is_transactional() {
            return Err(ResponseError::InvalidTxnState);
        }
        let first = batch.base_sequence;
        if batch.producer_epoch > producer.epoch {
            return match first {
                0 => Ok(AppendVerdict::Append),
                _ => Err(ResponseError::OutOfOrderSequenceNumber),
            };
        }
        let last = batch.last_sequence();
        let known = producer
            .batches
            .iter()
            .find(|known| (known.first_sequence, known.last_sequence) == (first, last));
        if let Some(known) = known {
            let (base_offset, timestamp) = (known.base_offset, known.timestamp);
            return Ok(AppendVerdict::Duplicate { base_offset, timestamp });
        }
        // After a marker with a new epoch there are no batches, and the sequence starts at 0.
        let expected = producer.batches.back().map_or(0, |last| next_sequence(last.last_sequence));
        if first == expected {
            Ok(AppendVerdict::Append)
        } else {
            Err(ResponseError::OutOfOrderSequenceNumber)
        }
    }

    /// Records an appended batch. Returns its producer, to be stored.
    pub(crate) fn appended(
        &mut self,
        batch: &BatchHeader,
        base_offset: i64,
        timestamp: Millis,
        now: Millis,
    ) -> Option<(i64, &Producer)> {
        if batch.producer_id < 0 {
            return None;
        }
        if batch.is_transactional() && !self.is_open(batch.producer_id) {
            self.open.insert(base_offset);
        }
        let producer = self.entry(batch.producer_id, batch.producer_epoch);
        if producer.batches.len() == REMEMBERED {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Appended {
            first_sequence: batch.base_sequence,
            last_sequence: batch.last_sequence(),
            base_offset,
            timestamp,
        });
        producer.last_append = now;
        if batch.is_transactional() {
            producer.open_since.get_or_insert(base_offset);
        }
        Some((batch.producer_id, producer))
    }

    /// Ends the open transaction of a producer in this log, if there is one. Returns its first offset, and the
    /// producer, to be stored. From now on, lower epochs are fenced.
    pub(crate) fn end_transaction(
        &mut self,
        producer_id: i64,
        epoch: i16,
        now: Millis,
    ) -> (Option<i64>, &Producer) {
        if let Some(since) = self.by_id.get(&producer_id).and_then(|producer| producer.open_since) {
            self.open.remove(&since);
        }
        let producer = self.entry(producer_id, epoch);
        producer.last_append = now;
        (producer.open_since.take(), producer)
    }

    /// The first offset of the earliest open transaction: the last stable offset, if one is open.
    pub(crate) fn first_open(&self) -> Option<i64> {
        self.open.first().copied()
    }

    fn is_open(&self, producer_id: i64) -> bool {
        self.by_id.get(&producer_id).is_some_and(|producer| producer.open_since.is_some())
    }

    /// Removes the producers without an open transaction that have not written since `oldest`. Returns their ids.
    pub(crate) fn expire(&mut self, oldest: Millis) -> Vec<i64> {
        let expired =
            |producer: &Producer| producer.open_since.is_none() && producer.last_append < oldest;
        let ids: Vec<i64> = self
            .by_id
            .iter()
            .filter(|(_, producer)| expired(producer))
            .map(|(id, _)| *id)
            .collect();
        for id in &ids {
            self.by_id.remove(id);
        }
        ids
    }

    /// The state of all producers.
    pub(crate) fn active(&self) -> impl Iterator<Item = Active> {
        self.by_id.iter().map(|(&producer_id, producer)| Active {
            producer_id,
            epoch: producer.epoch,
            last_sequence: producer.batches.back().map(|last| last.last_sequence),
            last_append: producer.last_append,
            open_since: producer.open_since,
        })
    }

    /// The ids of all producers.
    pub(crate) fn ids(&self) -> impl Iterator<Item = i64> {
        self.by_id.keys().copied()
    }

    fn entry(&mut self, producer_id: i64, epoch: i16) -> &mut Producer {
        let producer = self.by_id.entry(producer_id).or_insert_with(|| Producer {
            epoch,
            batches: VecDeque::new(),
            open_since: None,
            last_append: 0,
        });
        if producer.epoch < epoch {
            producer.epoch = epoch;
            producer.batches.clear();
        }
        producer
    }
}

/// The next sequence number. After `i32::MAX` follows 0.
fn next_sequence(sequence: i32) -> i32 {
    if sequence == i32::MAX { 0 } else { sequence + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(epoch: i16, first: i32, records: i32) -> BatchHeader {
        BatchHeader::of_producer(7, epoch, first, records)
    }

    fn transactional(epoch: i16, first: i32, records: i32) -> BatchHeader {
        batch(epoch, first, records).in_transaction()
    }

    fn after(batches: &[BatchHeader]) -> Producers {
        let mut producers = Producers::default();
        let mut offset = 100;
        for batch in batches {
            assert_eq!(producers.check(batch), Ok(AppendVerdict::Append), "{batch:?}");
            producers.appended(batch, offset, 5, 5);
            offset += i64::from(batch.record_count);
        }
        producers
    }

    #[test]
    fn a_batch_must_follow_the_last_one_of_its_epoch() {
        use ResponseError::{InvalidProducerEpoch, OutOfOrderSequenceNumber};
        let duplicate = |base_offset| Ok(AppendVerdict::Duplicate { base_offset, timestamp: 5 });
        let written = [batch(1, 0, 10), batch(1, 10, 5)];
        for (next, expected) in [
            (batch(1, 15, 1), Ok(AppendVerdict::Append)),
            (batch(1, 16, 1), Err(OutOfOrderSequenceNumber)),
            (batch(1, 10, 5), duplicate(110)),
            (batch(1, 0, 10), duplicate(100)),
            (batch(1, 10, 4), Err(OutOfOrderSequenceNumber)),
            (batch(0, 15, 1), Err(InvalidProducerEpoch)),
            (batch(2, 0, 1), Ok(AppendVerdict::Append)),
            (batch(2, 15, 1), Err(OutOfOrderSequenceNumber)),
        ] {
            assert_eq!(after(&written).check(&next), expected, "{next:?}");
        }
    }

    #[test]
    fn any_sequence_is_taken_of_a_producer_that_is_not_known() {
        assert_eq!(Producers::default().check(&batch(3, 42, 1)), Ok(AppendVerdict::Append));
    }

    #[test]
    fn the_last_five_batches_are_recognised() {
        let written: Vec<_> = (0..6).map(|sequence| batch(0, sequence, 1)).collect();
        let producers = after(&written);
        let gap = Err(ResponseError::OutOfOrderSequenceNumber);
        assert_eq!(producers.check(&written[0]), gap, "the sixth last");
        for (batch, offset) in written[1..].iter().zip(101..) {
            let duplicate = AppendVerdict::Duplicate { base_offset: offset, timestamp: 5 };
            assert_eq!(producers.check(batch), Ok(duplicate));
        }
    }

    #[test]
    fn sequences_begin_again_behind_the_largest() {
        let producers = after(&[batch(0, i32::MAX - 1, 2)]);
        assert_eq!(producers.check(&batch(0, 0, 1)), Ok(AppendVerdict::Append));
        let producers = after(&[batch(0, i32::MAX - 1, 4)]);
        assert_eq!(producers.check(&batch(0, 2, 1)), Ok(AppendVerdict::Append));
    }

    #[test]
    fn a_transaction_is_open_from_its_first_batch_to_its_end() {
        let mut producers = after(&[transactional(0, 0, 2), transactional(0, 2, 2)]);
        assert_eq!(producers.first_open(), Some(100));
        let plain = Err(ResponseError::InvalidTxnState);
        assert_eq!(producers.check(&batch(0, 4, 1)), plain);
        assert_eq!(producers.end_transaction(7, 0, 9).0, Some(100));
        assert_eq!(producers.first_open(), None);
        assert_eq!(producers.check(&transactional(0, 4, 1)), Ok(AppendVerdict::Append));
    }

    #[test]
    fn a_marker_of_a_higher_epoch_fences_and_lets_sequences_begin_anew() {
        let mut producers = after(&[transactional(0, 0, 2)]);
        assert_eq!(producers.end_transaction(7, 1, 9).0, Some(100));
        let fenced = Err(ResponseError::InvalidProducerEpoch);
        assert_eq!(producers.check(&transactional(0, 2, 1)), fenced);
        assert_eq!(producers.check(&transactional(1, 0, 1)), Ok(AppendVerdict::Append));
    }

    #[test]
    fn a_producer_with_an_open_transaction_does_not_expire() {
        let mut producers = after(&[transactional(0, 0, 2)]);
        assert_eq!(producers.expire(1_000), Vec::<i64>::new());
        producers.end_transaction(7, 0, 9);
        assert_eq!(producers.expire(9), Vec::<i64>::new());
        assert_eq!(producers.expire(10), vec![7]);
    }
}
