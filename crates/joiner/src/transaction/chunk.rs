//! The records that are handed over to the writer together.

use kafka::transaction::Record;
use models::Partition;
use rdkafka::message::OwnedHeaders;

/// Records in one buffer. The buffer is used again when they are written.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// All keys and values, in the order of the records.
    bytes: Vec<u8>,
    records: Vec<Outline>,
    /// The topics of all records since the chunk was made. There are a handful.
    topics: Vec<String>,
}

/// A record without its bytes.
#[derive(Debug)]
struct Outline {
    topic: usize,
    partition: Partition,
    key: Option<usize>,
    value: Option<usize>,
    timestamp_ms: Option<i64>,
    headers: Option<OwnedHeaders>,
    /// To be written only if the record before it is too large.
    instead: bool,
}

impl Chunk {
    /// Appends a copy of `record`.
    pub(super) fn push(&mut self, record: Record<'_>) {
        self.append(record, false);
    }

    /// Appends a copy of a record that is to be written if the last one is too large.
    pub(super) fn push_instead(&mut self, record: Record<'_>) {
        self.append(record, true);
    }

    fn append(&mut self, record: Record<'_>, instead: bool) {
        let Record { topic, partition, key, value, timestamp_ms, headers } = record;
        let topic = self.topics.iter().position(|known| known == topic).unwrap_or_else(|| {
            self.topics.push(topic.to_owned());
            self.topics.len() - 1
        });
        for part in [key, value].into_iter().flatten() {
            self.bytes.extend_from_slice(part);
        }
        let (key, value) = (key.map(<[u8]>::len), value.map(<[u8]>::len));
        self.records.push(Outline { topic, partition, key, value, timestamp_ms, headers, instead });
    }

    /// Frees memory for more than `bytes` of keys and values. Otherwise one large record would keep it for ever.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        self.bytes.shrink_to(bytes);
    }

    /// Bytes of keys and values.
    pub(super) const fn size(&self) -> usize {
        self.bytes.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Passes the records in their order to `with`, up to the first error, and leaves the chunk empty. `with` gets a
    /// record and whether there is another one in case it is too large. It returns whether it took the record; if not,
    /// it gets that other one.
    pub(super) fn drain<E>(
        &mut self,
        mut with: impl FnMut(Record<'_>, bool) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut rest = &self.bytes[..];
        let mut take = |length: Option<usize>| {
            length.map(|length| {
                let (part, behind) = rest.split_at(length);
                rest = behind;
                part
            })
        };
        let mut taken = true;
        let mut outcome = Ok(());
        let mut records = self.records.drain(..).peekable();
        while let Some(outline) = records.next() {
            let Outline { topic, partition, key, value, timestamp_ms, headers, instead } = outline;
            let (key, value) = (take(key), take(value));
            if instead && taken {
                continue;
            }
            let stand_in = records.peek().is_some_and(|next| next.instead);
            let topic = &self.topics[topic];
            match with(Record { topic, partition, key, value, timestamp_ms, headers }, stand_in) {
                Ok(was_taken) => taken = was_taken,
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        drop(records);
        self.bytes.clear();
        outcome
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{Header, Headers};

    use super::*;

    fn read(chunk: &mut Chunk) -> Vec<String> {
        let mut read = Vec::new();
        let all = chunk.drain(|record, _| {
            let headers = record.headers.map_or(0, |headers| headers.count());
            let Record { topic, partition, key, value, timestamp_ms, .. } = record;
            read.push(format!("{topic}/{partition} {key:?} {value:?} {timestamp_ms:?} {headers}"));
            Ok::<_, ()>(true)
        });
        all.expect("no record fails");
        read
    }

    #[test]
    fn records_come_out_as_they_went_in_and_the_chunk_can_be_used_again() {
        let records = || {
            let header = Header { key: "a", value: Some("b") };
            [
                Record { topic: "x", key: Some(b"k"), value: Some(b"v"), ..Record::default() },
                Record { topic: "y", partition: 2, value: Some(b""), ..Record::default() },
                Record { topic: "x", key: Some(b"k"), timestamp_ms: Some(7), ..Record::default() },
                Record {
                    topic: "y",
                    headers: Some(OwnedHeaders::new().insert(header)),
                    ..Record::default()
                },
            ]
        };
        let expected = [
            "x/0 Some([107]) Some([118]) None 0",
            "y/2 None Some([]) None 0",
            "x/0 Some([107]) None Some(7) 0",
            "y/0 None None None 1",
        ];
        let mut chunk = Chunk::default();
        for _ in 0..2 {
            for record in records() {
                chunk.push(record);
            }
            assert_eq!(chunk.size(), 3);
            assert_eq!(read(&mut chunk), expected);
            assert!(chunk.is_empty() && chunk.size() == 0);
        }
    }

    #[test]
    fn what_stands_in_for_a_record_is_passed_on_only_if_that_is_not_taken() {
        let mut chunk = Chunk::default();
        for partition in [10, 20] {
            chunk.push(Record {
                topic: "x",
                partition,
                value: Some(b"large"),
                ..Record::default()
            });
            let rest = Record { topic: "x", partition: partition + 1, ..Record::default() };
            chunk.push_instead(rest);
        }
        chunk.push(Record { topic: "x", partition: 30, ..Record::default() });
        let mut passed = Vec::new();
        let outcome = chunk.drain(|record, stand_in| {
            assert_eq!(stand_in, [10, 20].contains(&record.partition));
            passed.push(record.partition);
            Ok::<_, ()>(record.partition != 20)
        });
        assert_eq!((outcome, passed), (Ok(()), vec![10, 20, 21, 30]));
    }

    #[test]
    fn nothing_behind_a_record_that_fails_is_passed_on() {
        let mut chunk = Chunk::default();
        for partition in 0..3 {
            chunk.push(Record { topic: "x", partition, ..Record::default() });
        }
        let mut passed = Vec::new();
        let outcome = chunk.drain(|record, _| {
            passed.push(record.partition);
            if record.partition == 1 { Err("refused") } else { Ok(true) }
        });
        assert_eq!((outcome, passed), (Err("refused"), vec![0, 1]));
        assert!(chunk.is_empty());
    }

    #[test]
    fn a_large_record_leaves_no_room_behind() {
        let mut chunk = Chunk::default();
        let large = vec![0; 1_000_000];
        chunk.push(Record { value: Some(&large), ..Record::default() });
        assert_eq!(read(&mut chunk).len(), 1);
        chunk.shrink_to(1_000);
        assert!(chunk.bytes.capacity() < 2_000, "{}", chunk.bytes.capacity());
    }
}
