//! Consumer groups of librdkafka: assignors, static members, and a member that dies.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::rig::{DEADLINE, client, eventually, group, topic};

const PARTITIONS: i32 = 6;

fn consumer(group: &str, topic: &str, settings: &[(&str, &str)]) -> BaseConsumer {
    let mut config = client(&[
        ("group.id", group),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.commit", "false"),
        ("session.timeout.ms", "30000"),
        ("heartbeat.interval.ms", "500"),
    ]);
    for (key, value) in settings {
        config.set(*key, *value);
    }
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    consumer
}

fn fill(topic: &str, numbers: std::ops::Range<i32>) {
    let producer: ThreadedProducer<DefaultProducerContext> = client(&[]).create().unwrap();
    for n in numbers {
        let value = n.to_string();
        let record = BaseRecord::<str, str>::to(topic).payload(&value).partition(n % PARTITIONS);
        producer.send(record).unwrap();
    }
    producer.flush(DEADLINE).unwrap();
}

/// The partitions that a member holds.
fn held(consumer: &BaseConsumer) -> BTreeSet<i32> {
    consumer
        .assignment()
        .unwrap()
        .elements()
        .iter()
        .map(TopicPartitionListElem::partition)
        .collect()
}

/// Polls all members until they hold all partitions, each one some; what they read goes to `seen`.
fn balanced(members: &[BaseConsumer], seen: &mut Vec<i32>) -> Vec<BTreeSet<i32>> {
    eventually("every member has partitions, and every partition a member", || {
        for member in members {
            take(member, seen);
        }
        let held: Vec<_> = members.iter().map(held).collect();
        let total: usize = held.iter().map(BTreeSet::len).sum();
        let all: BTreeSet<i32> = held.iter().flatten().copied().collect();
        let is_balanced = total == PARTITIONS as usize
            && all.len() == total
            && held.iter().all(|partitions| !partitions.is_empty());
        is_balanced.then_some(held)
    })
}

fn take(member: &BaseConsumer, seen: &mut Vec<i32>) {
    if let Some(Ok(message)) = member.poll(Duration::from_millis(20)) {
        seen.push(std::str::from_utf8(message.payload().unwrap()).unwrap().parse().unwrap());
        // Fails when a rebalance overtakes it; then the record may come again.
        let _ = member.commit_message(&message, CommitMode::Sync);
    }
}

/// Members come and go, and every record is read.
fn rebalances(assignor: &str) -> [Vec<BTreeSet<i32>>; 2] {
    let (topic, group) = (topic(PARTITIONS), group());
    let settings = [("partition.assignment.strategy", assignor)];
    let mut seen = Vec::new();
    let mut members = vec![consumer(&group, &topic, &settings)];
    fill(&topic, 0..60);
    balanced(&members, &mut seen);
    members.push(consumer(&group, &topic, &settings));
    let two = balanced(&members, &mut seen);
    fill(&topic, 60..120);
    members.push(consumer(&group, &topic, &settings));
    let three = balanced(&members, &mut seen);
    fill(&topic, 120..180);
    // Dropping a consumer leaves the group.
    drop(members.remove(0));
    balanced(&members, &mut seen);
    eventually("every record is read", || {
        for member in &members {
            take(member, &mut seen);
        }
        let distinct: BTreeSet<i32> = seen.iter().copied().collect();
        (distinct.len() == 180).then_some(())
    });
    [two, three]
}

#[test]
fn range_gives_neighbours() {
    let [two, three] = rebalances("range");
    for shares in [two, three] {
        let size = PARTITIONS as usize / shares.len();
        for share in shares {
            let first = *share.first().unwrap();
            let neighbours: BTreeSet<i32> = (first..first + size as i32).collect();
            assert_eq!(share, neighbours);
        }
    }
}

#[test]
fn round_robin_deals_partitions_in_turn() {
    let [two, _] = rebalances("roundrobin");
    for share in two {
        let first = *share.first().unwrap();
        assert_eq!(share, [first, first + 2, first + 4].into());
    }
}

#[test]
fn cooperative_members_keep_what_they_may() {
    let [two, three] = rebalances("cooperative-sticky");
    for (before, after) in two.iter().zip(&three) {
        assert!(after.is_subset(before), "{two:?} became {three:?}");
    }
}

#[test]
fn reading_goes_on_where_it_was_committed() {
    let (topic, group) = (topic(PARTITIONS), group());
    fill(&topic, 0..60);
    let first = consumer(&group, &topic, &[]);
    balanced(std::slice::from_ref(&first), &mut Vec::new());
    let mut offsets = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        offsets.add_partition_offset(&topic, partition, Offset::Offset(4)).unwrap();
    }
    first.commit(&offsets, CommitMode::Sync).unwrap();
    drop(first);
    let second = consumer(&group, &topic, &[]);
    let mut seen = Vec::new();
    eventually("the rest is read", || {
        take(&second, &mut seen);
        (seen.len() == 36).then_some(())
    });
    seen.sort_unstable();
    assert_eq!(seen, (24..60).collect::<Vec<_>>());
}

#[test]
fn restarted_static_member_gets_its_partitions_back() {
    let (topic, group) = (topic(PARTITIONS), group());
    let member = |instance| consumer(&group, &topic, &[("group.instance.id", instance)]);
    let mut members = vec![member("one"), member("two")];
    let before = balanced(&members, &mut Vec::new());
    // A static member doesn't leave when it is closed.
    drop(members.remove(0));
    members.insert(0, member("one"));
    let after = balanced(&members, &mut Vec::new());
    assert_eq!(after, before);
}

const VICTIM: &str = "TRIPSTREAM_TEST_VICTIM";

/// Not a test by itself: the process that [`partitions_of_a_killed_member_are_taken_over`] kills.
#[test]
fn victim() {
    let Ok(names) = std::env::var(VICTIM) else { return };
    let (group, topic) = names.split_once(' ').unwrap();
    // The shortest that Kafka allows: that long it is missed.
    let consumer = consumer(group, topic, &[("session.timeout.ms", "6000")]);
    loop {
        consumer.poll(Duration::from_millis(100));
    }
}

struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn partitions_of_a_killed_member_are_taken_over() {
    let (topic, group) = (topic(PARTITIONS), group());
    let program = std::env::current_exe().unwrap();
    let child = Command::new(program)
        .args(["--exact", "group_clients::victim"])
        .env(VICTIM, format!("{group} {topic}"))
        .env("TRIPSTREAM_TEST_BOOTSTRAP", crate::rig::bootstrap())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let victim = Victim(child.unwrap());
    let mut wire = crate::wire::Wire::connect();
    eventually("the victim is the only member", || {
        let described = wire.describe_group(&group);
        (*described.group_state == *"Stable" && described.members.len() == 1).then_some(())
    });
    let survivor = consumer(&group, &topic, &[]);
    let mut seen = Vec::new();
    eventually("both have partitions", || {
        take(&survivor, &mut seen);
        (held(&survivor).len() == 3).then_some(())
    });
    drop(victim);
    balanced(std::slice::from_ref(&survivor), &mut seen);
}
