//! Transactions of librdkafka.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::rig::{DEADLINE, client, eventually, group, topic, transactional_id, unique};
use crate::wire::Wire;

type Sender = ThreadedProducer<DefaultProducerContext>;

fn producer(id: &str, settings: &[(&str, &str)]) -> Sender {
    let mut config = client(&[("transactional.id", id), ("transaction.timeout.ms", "30000")]);
    for (key, value) in settings {
        config.set(*key, *value);
    }
    let producer: Sender = config.create().unwrap();
    producer.init_transactions(DEADLINE).unwrap();
    producer
}

fn send(producer: &Sender, topic: &str, value: &str) {
    producer.send(BaseRecord::<str, str>::to(topic).payload(value).partition(0)).unwrap();
}

fn transact(producer: &Sender, topic: &str, value: &str, commit: bool) {
    producer.begin_transaction().unwrap();
    send(producer, topic, value);
    if commit {
        producer.commit_transaction(DEADLINE).unwrap();
    } else {
        producer.flush(DEADLINE).unwrap();
        producer.abort_transaction(DEADLINE).unwrap();
    }
}

/// The values that lie in partition 0 now.
fn read(topic: &str, isolation: &str) -> Vec<String> {
    let consumer: BaseConsumer = client(&[
        ("group.id", &unique("reader")),
        ("enable.partition.eof", "true"),
        ("enable.auto.commit", "false"),
        ("isolation.level", isolation),
    ])
    .create()
    .unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&assignment).unwrap();
    let (mut values, end) = (Vec::new(), Instant::now() + DEADLINE);
    loop {
        assert!(Instant::now() < end, "{topic} has no end");
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                values.push(String::from_utf8(message.payload().unwrap().to_vec()).unwrap());
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return values,
            Some(Err(error)) => panic!("{topic}: {error}"),
            None => (),
        }
    }
}

fn await_stable(topic: &str) {
    let mut wire = Wire::connect();
    eventually("no transaction is open", || {
        let [stable, end] = [true, false].map(|c| wire.list_offset(topic, 0, -1, c).unwrap().1);
        (stable == end).then_some(())
    });
}

#[test]
fn committed_records_are_seen_and_aborted_ones_are_not() {
    let topic = topic(1);
    let transactional = producer(&transactional_id(), &[]);
    let plain: Sender = client(&[]).create().unwrap();
    let mut committed = Vec::new();
    let mut all = Vec::new();
    for n in 0..10 {
        let (value, other) = (format!("transaction {n}"), format!("plain {n}"));
        transactional.begin_transaction().unwrap();
        send(&transactional, &topic, &value);
        transactional.flush(DEADLINE).unwrap();
        send(&plain, &topic, &other);
        plain.flush(DEADLINE).unwrap();
        all.extend([value.clone(), other.clone()]);
        if n % 3 == 0 {
            transactional.abort_transaction(DEADLINE).unwrap();
            committed.push(other);
        } else {
            transactional.commit_transaction(DEADLINE).unwrap();
            committed.extend([value, other]);
        }
    }
    await_stable(&topic);
    assert_eq!(read(&topic, "read_committed"), committed);
    assert_eq!(read(&topic, "read_uncommitted"), all);
}

#[test]
fn open_transaction_hides_what_is_behind_it() {
    let topic = topic(1);
    let transactional = producer(&transactional_id(), &[]);
    transact(&transactional, &topic, "before", true);
    transactional.begin_transaction().unwrap();
    send(&transactional, &topic, "open");
    transactional.flush(DEADLINE).unwrap();
    let plain: Sender = client(&[]).create().unwrap();
    send(&plain, &topic, "behind");
    plain.flush(DEADLINE).unwrap();
    assert_eq!(read(&topic, "read_committed"), ["before"]);
    assert_eq!(read(&topic, "read_uncommitted"), ["before", "open", "behind"]);
    transactional.abort_transaction(DEADLINE).unwrap();
    await_stable(&topic);
    assert_eq!(read(&topic, "read_committed"), ["before", "behind"]);
}

#[test]
fn many_small_transactions_are_all_seen() {
    let topic = topic(1);
    let transactional = producer(&transactional_id(), &[]);
    let values: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    for value in &values {
        transact(&transactional, &topic, value, true);
    }
    await_stable(&topic);
    assert_eq!(read(&topic, "read_committed"), values);
}

#[test]
fn second_producer_fences_the_first() {
    let topic = topic(1);
    let id = transactional_id();
    let old = producer(&id, &[]);
    old.begin_transaction().unwrap();
    send(&old, &topic, "zombie");
    old.flush(DEADLINE).unwrap();
    let new = producer(&id, &[]);
    transact(&new, &topic, "new", true);
    let error = old.commit_transaction(DEADLINE).unwrap_err();
    let KafkaError::Transaction(error) = error else { panic!("{error}") };
    assert!(error.is_fatal(), "{error:?}");
    assert!(
        matches!(error.code(), RDKafkaErrorCode::Fenced | RDKafkaErrorCode::InvalidProducerEpoch),
        "{error:?}"
    );
    await_stable(&topic);
    assert_eq!(read(&topic, "read_committed"), ["new"]);
}

#[test]
fn transaction_that_ran_out_is_not_committed() {
    let topic = topic(1);
    let settings = [("transaction.timeout.ms", "1000"), ("message.timeout.ms", "1000")];
    let transactional = producer(&transactional_id(), &settings);
    transactional.begin_transaction().unwrap();
    send(&transactional, &topic, "late");
    transactional.flush(DEADLINE).unwrap();
    await_stable(&topic);
    transactional.commit_transaction(DEADLINE).unwrap_err();
    assert_eq!(read(&topic, "read_committed"), [""; 0]);
}

#[test]
fn consumed_is_what_was_produced_exactly_once() {
    const RECORDS: usize = 200;
    let (input, output, group) = (topic(1), topic(1), group());
    let plain: Sender = client(&[]).create().unwrap();
    for n in 0..RECORDS {
        send(&plain, &input, &n.to_string());
    }
    plain.flush(DEADLINE).unwrap();
    let id = transactional_id();
    // The third transaction is aborted, after which both start anew, like a service that has failed.
    let mut transactions = 0;
    let mut done = 0;
    while done < RECORDS {
        let transactional = producer(&id, &[]);
        let consumer: BaseConsumer = client(&[
            ("group.id", &group),
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "false"),
            ("isolation.level", "read_committed"),
            ("session.timeout.ms", "6000"),
        ])
        .create()
        .unwrap();
        consumer.subscribe(&[&input]).unwrap();
        while done < RECORDS {
            transactional.begin_transaction().unwrap();
            let (mut taken, end) = (0, Instant::now() + DEADLINE);
            while taken < 25 {
                assert!(Instant::now() < end, "{done} of {RECORDS} done, no more comes");
                let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
                let message = message.unwrap();
                let value = std::str::from_utf8(message.payload().unwrap()).unwrap();
                send(&transactional, &output, value);
                taken += 1;
            }
            let position = consumer.position().unwrap();
            let metadata = consumer.group_metadata().unwrap();
            transactional.send_offsets_to_transaction(&position, &metadata, DEADLINE).unwrap();
            transactions += 1;
            if transactions == 3 {
                transactional.abort_transaction(DEADLINE).unwrap();
                break;
            }
            transactional.commit_transaction(DEADLINE).unwrap();
            done += taken;
        }
    }
    await_stable(&output);
    let expected: Vec<String> = (0..RECORDS).map(|n| n.to_string()).collect();
    assert_eq!(read(&output, "read_committed"), expected);
    let committed = Wire::connect().committed(&group, &input, true).unwrap();
    assert_eq!(committed.0, RECORDS as i64);
}
