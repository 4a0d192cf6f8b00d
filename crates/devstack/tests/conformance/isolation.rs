//! Transactions for readers: markers, the last stable offset, aborted transactions.

use bytes::Bytes;

use crate::rig::{topic, transactional_id};
use crate::wire::batch::Batch;
use crate::wire::{Fetch, Producer, Wire};

struct Writer {
    wire: Wire,
    id: String,
    producer: Producer,
    sequence: i32,
}

impl Writer {
    fn new() -> Self {
        let mut wire = Wire::connect();
        let id = transactional_id();
        let producer = wire.transactional_producer(&id);
        Self { wire, id, producer, sequence: 0 }
    }

    /// Appends to a transaction, which it begins if there is none.
    fn write(&mut self, topic: &str, value: &str) -> i64 {
        self.wire.add_partition(&self.id, self.producer, topic).unwrap();
        let batch = Batch::of(&[value]).by(self.producer, self.sequence);
        self.sequence += 1;
        self.wire.produce_in(&self.id, topic, batch).unwrap()
    }

    fn end(&mut self, commit: bool) {
        self.wire.end_transaction(&self.id, self.producer, commit).unwrap();
    }
}

/// Waits for the markers, which are written after the answer to EndTxn.
fn await_stable(topic: &str, offset: i64) {
    let mut wire = Wire::connect();
    crate::rig::eventually("the log is stable", || {
        (wire.list_offset(topic, 0, -1, true) == Ok((-1, offset))).then_some(())
    });
}

#[test]
fn end_of_a_transaction_is_a_record_with_an_offset() {
    let topic = topic(1);
    let mut writer = Writer::new();
    for (value, commit) in [("kept", true), ("lost", false)] {
        writer.write(&topic, value);
        writer.end(commit);
    }
    await_stable(&topic, 4);
    let fetched = writer.wire.fetch(&topic, 0, 0, &Fetch::default()).unwrap();
    assert_eq!(fetched.high_watermark, 4);
    let markers: Vec<_> = fetched.records().into_iter().filter(|record| record.control).collect();
    // `EndTransactionMarker`: version 0, then 1 for a commit and 0 for an abort; coordinator epoch in the value.
    let commit = Bytes::from_static(&[0, 0, 0, 1]);
    let abort = Bytes::from_static(&[0, 0, 0, 0]);
    for (marker, (offset, key)) in markers.iter().zip([(1, commit), (3, abort)]) {
        assert_eq!((marker.offset, marker.key.as_ref()), (offset, Some(&key)));
        assert_eq!((marker.producer_id, marker.producer_epoch), (writer.producer.id, 0));
        assert!(marker.transactional && marker.sequence == -1);
        assert_eq!(marker.value.as_ref().unwrap().len(), 6);
    }
    assert_eq!(markers.len(), 2);
}

#[test]
fn nothing_behind_an_open_transaction_is_given_to_readers_of_committed_records() {
    let topic = topic(1);
    let mut wire = Wire::connect();
    wire.produce(&topic, 0, &Batch::of(&["before"])).unwrap();
    let mut writer = Writer::new();
    assert_eq!(writer.write(&topic, "open"), 1);
    wire.produce(&topic, 0, &Batch::of(&["behind"])).unwrap();

    let committed = wire.fetch(&topic, 0, 0, &Fetch::committed()).unwrap();
    assert_eq!(committed.values(), [(0, "before".to_owned())]);
    assert_eq!((committed.high_watermark, committed.last_stable_offset), (3, 1));
    let all = wire.fetch(&topic, 0, 0, &Fetch::default()).unwrap();
    assert_eq!(all.values().len(), 3);
    // Up to the high watermark an offset is in range, though there is nothing to read yet.
    for offset in [1, 2, 3] {
        let fetched = wire.fetch(&topic, 0, offset, &Fetch::committed()).unwrap();
        assert!(fetched.batches.is_empty(), "from {offset}");
    }
    assert_eq!(wire.list_offset(&topic, 0, -1, true), Ok((-1, 1)));
    assert_eq!(wire.list_offset(&topic, 0, -1, false), Ok((-1, 3)));

    writer.end(true);
    await_stable(&topic, 4);
    let committed = wire.fetch(&topic, 0, 0, &Fetch::committed()).unwrap();
    assert_eq!(committed.values().len(), 3);
    assert_eq!(committed.last_stable_offset, 4);
    assert!(committed.aborted.is_empty());
}

#[test]
fn last_stable_offset_is_that_of_the_oldest_open_transaction() {
    let topic = topic(1);
    let (mut first, mut second) = (Writer::new(), Writer::new());
    assert_eq!(first.write(&topic, "first"), 0);
    assert_eq!(second.write(&topic, "second"), 1);
    second.end(true);
    assert_eq!(first.wire.list_offset(&topic, 0, -1, true), Ok((-1, 0)));
    first.write(&topic, "more");
    first.end(true);
    await_stable(&topic, 5);
}

#[test]
fn aborted_transactions_are_listed_where_they_lie() {
    let topic = topic(1);
    let mut writer = Writer::new();
    // Offsets 0 aborted, 1 marker, 2 committed, 3 marker, 4 and 5 aborted, 6 marker, 7 plain.
    writer.write(&topic, "a");
    writer.end(false);
    writer.write(&topic, "b");
    writer.end(true);
    writer.write(&topic, "c");
    writer.write(&topic, "d");
    writer.end(false);
    let mut wire = Wire::connect();
    await_stable(&topic, 7);
    wire.produce(&topic, 0, &Batch::of(&["e"])).unwrap();

    let id = writer.producer.id;
    for (from, how, expected) in [
        (0, &Fetch::committed(), vec![(id, 0), (id, 4)]),
        (2, &Fetch::committed(), vec![(id, 4)]),
        (5, &Fetch::committed(), vec![(id, 4)]),
        (7, &Fetch::committed(), vec![]),
        (0, &Fetch::default(), vec![]),
    ] {
        let fetched = wire.fetch(&topic, 0, from, how).unwrap();
        assert_eq!(fetched.aborted, expected, "from {from}, committed {}", how.is_read_committed);
    }
    // Those that lie behind what was fetched may be listed too, as Kafka does; none that lies in it is left out.
    let single = Fetch { partition_max_bytes: 1, ..Fetch::committed() };
    let fetched = wire.fetch(&topic, 0, 0, &single).unwrap();
    assert_eq!((fetched.batches.len(), fetched.aborted[0]), (1, (id, 0)));
}

#[test]
fn reader_of_committed_records_is_woken_by_the_commit() {
    let topic = topic(1);
    let mut writer = Writer::new();
    writer.write(&topic, "x");
    let mut waiting = Wire::connect();
    let waits = Fetch { max_wait_ms: 25_000, min_bytes: 1, ..Fetch::committed() };
    let begin = std::time::Instant::now();
    waiting.send(12, &waits.request(&topic, &[(0, 0)]));
    writer.end(true);
    let answer = waiting.receive::<kafka_protocol::messages::FetchRequest>(12);
    assert!(begin.elapsed() < std::time::Duration::from_secs(15));
    assert!(!answer.responses[0].partitions[0].records.as_ref().unwrap().is_empty());
}

#[test]
fn transaction_spans_topics() {
    let topics = [topic(1), topic(1)];
    let mut writer = Writer::new();
    for (topic, sequence) in topics.iter().zip([0, 0]) {
        writer.sequence = sequence;
        writer.write(topic, "x");
    }
    let mut wire = Wire::connect();
    for topic in &topics {
        assert_eq!(wire.list_offset(topic, 0, -1, true), Ok((-1, 0)));
    }
    writer.end(true);
    for topic in &topics {
        await_stable(topic, 2);
    }
}

#[test]
fn sequences_go_on_from_one_transaction_to_the_next() {
    let topic = topic(1);
    let mut writer = Writer::new();
    for commit in [true, false, true] {
        writer.write(&topic, "x");
        writer.end(commit);
    }
    await_stable(&topic, 6);
    assert_eq!(writer.sequence, 3);
}
