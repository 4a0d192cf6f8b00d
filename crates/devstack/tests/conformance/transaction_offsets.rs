//! Offsets that are committed in a transaction (KIP-98, KIP-447).

use crate::rig::{group, topic, transactional_id};
use crate::wire::batch::Batch;
use crate::wire::{Member, Producer, ResponseError, Wire};

struct Transaction {
    wire: Wire,
    id: String,
    producer: Producer,
    topic: String,
    group: String,
}

impl Transaction {
    fn new() -> Self {
        let mut wire = Wire::connect();
        let id = transactional_id();
        let producer = wire.transactional_producer(&id);
        Self { wire, id, producer, topic: topic(1), group: group() }
    }

    fn add(&mut self) {
        self.wire.add_offsets(&self.id, self.producer, &self.group).unwrap();
    }

    fn commit_offset(&mut self, member: &Member, offset: i64) -> Result<(), ResponseError> {
        self.wire.commit_offset_in(&self.id, self.producer, member, &self.topic, offset)
    }

    fn end(&mut self, commit: bool) {
        self.wire.end_transaction(&self.id, self.producer, commit).unwrap();
    }

    fn committed(&mut self) -> (i64, String) {
        // Stable: after the answer to EndTxn the markers may still be on their way.
        let committed = crate::rig::eventually("the offsets are stable", || {
            self.wire.committed(&self.group, &self.topic, true).ok()
        });
        (committed.0, committed.2)
    }
}

fn outsider(group: &str) -> Member {
    Member::new(group)
}

#[test]
fn offsets_count_when_their_transaction_is_committed() {
    let mut transaction = Transaction::new();
    let member = outsider(&transaction.group);
    let topic = transaction.topic.clone();
    transaction.wire.commit_offset(&member, &topic, 3, "before").unwrap();
    transaction.add();
    assert_eq!(transaction.commit_offset(&member, 7), Ok(()));
    let Transaction { wire, group, .. } = &mut transaction;
    assert_eq!(wire.committed(group, &topic, false), Ok((3, 7, "before".to_owned())));
    let unstable = wire.committed(group, &topic, true);
    assert_eq!(unstable, Err(ResponseError::UnstableOffsetCommit));
    transaction.end(true);
    assert_eq!(transaction.committed(), (7, "in a transaction".to_owned()));
}

#[test]
fn offsets_of_an_aborted_transaction_are_forgotten() {
    let mut transaction = Transaction::new();
    let member = outsider(&transaction.group);
    transaction.add();
    transaction.commit_offset(&member, 7).unwrap();
    transaction.end(false);
    assert_eq!(transaction.committed(), (-1, String::new()));
    // The next one has nothing of it.
    let (id, producer) = (transaction.id.clone(), transaction.producer);
    let topic = transaction.topic.clone();
    transaction.wire.transact(&id, producer, &topic, Batch::of(&["x"]).by(producer, 0), true);
    assert_eq!(transaction.committed(), (-1, String::new()));
}

#[test]
fn offsets_of_a_fenced_producer_are_forgotten() {
    let mut transaction = Transaction::new();
    let member = outsider(&transaction.group);
    transaction.add();
    transaction.commit_offset(&member, 7).unwrap();
    let id = transaction.id.clone();
    transaction.wire.transactional_producer(&id);
    assert_eq!(transaction.committed(), (-1, String::new()));
    let late = transaction.commit_offset(&member, 8);
    assert_eq!(late, Err(ResponseError::InvalidProducerEpoch));
}

#[test]
fn last_offset_of_a_transaction_counts() {
    let mut transaction = Transaction::new();
    let member = outsider(&transaction.group);
    transaction.add();
    for offset in [5, 9, 8] {
        transaction.commit_offset(&member, offset).unwrap();
    }
    transaction.end(true);
    assert_eq!(transaction.committed().0, 8);
}

#[test]
fn only_a_member_of_the_present_generation_commits_offsets() {
    let mut transaction = Transaction::new();
    let mut member = Member::new(&transaction.group);
    transaction.wire.join_alone(&mut member);
    transaction.add();
    assert_eq!(transaction.commit_offset(&member, 1), Ok(()));
    let older = member.with_generation(member.generation - 1);
    assert_eq!(transaction.commit_offset(&older, 2), Err(ResponseError::IllegalGeneration));
    let stranger = member.with_id("nobody");
    assert_eq!(transaction.commit_offset(&stranger, 2), Err(ResponseError::UnknownMemberId));
    transaction.end(true);
    assert_eq!(transaction.committed().0, 1);
}

#[test]
fn two_producers_hold_the_same_offset_one_after_the_other() {
    let mut first = Transaction::new();
    let member = outsider(&first.group);
    let mut second = Transaction {
        wire: Wire::connect(),
        id: transactional_id(),
        producer: Producer { id: -1, epoch: -1 },
        topic: first.topic.clone(),
        group: first.group.clone(),
    };
    second.producer = second.wire.transactional_producer(&second.id);
    for (transaction, offset) in [(&mut first, 10), (&mut second, 20)] {
        transaction.add();
        transaction.commit_offset(&member, offset).unwrap();
    }
    second.end(true);
    let topic = first.topic.clone();
    let unstable = first.wire.committed(&first.group, &topic, true);
    assert_eq!(unstable, Err(ResponseError::UnstableOffsetCommit), "the first one is open");
    first.end(false);
    assert_eq!(first.committed().0, 20);
}
