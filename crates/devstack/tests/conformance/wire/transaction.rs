//! Producer ids and transactions.

use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, GroupId,
    InitProducerIdRequest, ProducerId, TransactionalId, TxnOffsetCommitRequest,
};

use super::batch::Batch;
use super::{Answer, Member, Wire, outcome, settled, text, topic_name};

pub const TRANSACTION_TIMEOUT_MS: i32 = 60_000;

/// A producer id and its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Producer {
    pub id: i64,
    pub epoch: i16,
}

fn transactional(id: &str) -> TransactionalId {
    TransactionalId(text(id))
}

impl Wire {
    /// A producer id that is only idempotent.
    pub fn idempotent_producer(&mut self) -> Producer {
        self.init_producer(None, 0, Producer { id: -1, epoch: -1 }).unwrap()
    }

    /// The next epoch of a transactional id.
    pub fn transactional_producer(&mut self, id: &str) -> Producer {
        let none = Producer { id: -1, epoch: -1 };
        self.init_producer(Some(id), TRANSACTION_TIMEOUT_MS, none).unwrap()
    }

    /// `known` is what the producer believes to have (KIP-360).
    pub fn init_producer(
        &mut self,
        id: Option<&str>,
        timeout_ms: i32,
        known: Producer,
    ) -> Answer<Producer> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(id.map(transactional))
            .with_transaction_timeout_ms(timeout_ms)
            .with_producer_id(ProducerId(known.id))
            .with_producer_epoch(known.epoch);
        settled(|| {
            let answer = self.ask(4, &request);
            let producer = Producer { id: answer.producer_id.0, epoch: answer.producer_epoch };
            outcome(answer.error_code).map(|()| producer)
        })
    }

    /// What becomes of each partition.
    pub fn add_partitions(
        &mut self,
        version: i16,
        id: &str,
        producer: Producer,
        topics: &[(&str, i32)],
    ) -> Vec<Answer<()>> {
        let topic = |&(name, partition): &(&str, i32)| {
            AddPartitionsToTxnTopic::default()
                .with_name(topic_name(name))
                .with_partitions(vec![partition])
        };
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(transactional(id))
            .with_v3_and_below_producer_id(ProducerId(producer.id))
            .with_v3_and_below_producer_epoch(producer.epoch)
            .with_v3_and_below_topics(topics.iter().map(topic).collect());
        let mut answers = Vec::new();
        // Right after a commit the coordinator may still be writing its markers.
        let _ = settled(|| {
            let answer = self.ask(version, &request).results_by_topic_v3_and_below;
            let results = |topic: &str| {
                let topic = answer.iter().find(|t| *t.name.0 == *topic).unwrap();
                outcome(topic.results_by_partition[0].partition_error_code)
            };
            answers = topics.iter().map(|(name, _)| results(name)).collect();
            answers[0]
        });
        answers
    }

    /// Adds partition 0 of a topic to the open transaction, or opens one with it.
    pub fn add_partition(&mut self, id: &str, producer: Producer, topic: &str) -> Answer<()> {
        self.add_partitions(0, id, producer, &[(topic, 0)]).remove(0)
    }

    pub fn end_transaction(&mut self, id: &str, producer: Producer, commit: bool) -> Answer<()> {
        self.end_transaction_by(1, id, producer, commit)
    }

    pub fn end_transaction_by(
        &mut self,
        version: i16,
        id: &str,
        producer: Producer,
        commit: bool,
    ) -> Answer<()> {
        let request = EndTxnRequest::default()
            .with_transactional_id(transactional(id))
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch)
            .with_committed(commit);
        settled(|| outcome(self.ask(version, &request).error_code))
    }

    /// A whole transaction with one batch in partition 0.
    pub fn transact(
        &mut self,
        id: &str,
        producer: Producer,
        topic: &str,
        batch: Batch,
        commit: bool,
    ) {
        self.add_partition(id, producer, topic).unwrap();
        self.produce_in(id, topic, batch).unwrap();
        self.end_transaction(id, producer, commit).unwrap();
    }

    pub fn add_offsets(&mut self, id: &str, producer: Producer, group: &str) -> Answer<()> {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(transactional(id))
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch)
            .with_group_id(GroupId(text(group)));
        settled(|| outcome(self.ask(0, &request).error_code))
    }

    /// Commits an offset of partition 0 in a transaction, in the name of a member of the group.
    pub fn commit_offset_in(
        &mut self,
        id: &str,
        producer: Producer,
        member: &Member,
        topic: &str,
        offset: i64,
    ) -> Answer<()> {
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(0)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(-1)
            .with_committed_metadata(Some(text("in a transaction")));
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(transactional(id))
            .with_group_id(GroupId(text(&member.group)))
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch)
            .with_generation_id(member.generation)
            .with_member_id(text(&member.id))
            .with_group_instance_id(member.instance.as_deref().map(text))
            .with_topics(vec![topic]);
        settled(|| outcome(self.ask(3, &request).topics[0].partitions[0].error_code))
    }
}
