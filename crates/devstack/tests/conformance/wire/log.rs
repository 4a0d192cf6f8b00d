//! Produce, Fetch, ListOffsets, DeleteRecords and OffsetForLeaderEpoch of one partition.

use bytes::Bytes;
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    BrokerId, DeleteRecordsRequest, FetchRequest, FetchResponse, ListOffsetsRequest,
    OffsetForLeaderEpochRequest, ProduceRequest, TransactionalId,
};
use kafka_protocol::records::Record;

use super::batch::{Batch, records, split};
use super::{Answer, Wire, outcome, text, topic_name};

const PRODUCE: i16 = 9;
/// The last version that names topics; from 13 on it is their ids.
pub const FETCH: i16 = 12;
const LIST_OFFSETS: i16 = 7;
const TIMEOUT_MS: i32 = 10_000;

/// What to fetch: by default all that is there, uncommitted records too, without waiting.
#[derive(Clone)]
pub struct Fetch {
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    pub max_bytes: i32,
    pub partition_max_bytes: i32,
    pub is_read_committed: bool,
    pub session_id: i32,
    pub session_epoch: i32,
    pub leader_epoch: i32,
}

impl Default for Fetch {
    fn default() -> Self {
        Self {
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes: 10_000_000,
            partition_max_bytes: 10_000_000,
            is_read_committed: false,
            session_id: 0,
            // No session: a full fetch request that asks for none (KIP-227).
            session_epoch: -1,
            leader_epoch: -1,
        }
    }
}

impl Fetch {
    pub fn committed() -> Self {
        Self { is_read_committed: true, ..Self::default() }
    }

    /// The request for partitions of a topic, with the offset from which each is wanted.
    pub fn request(&self, topic: &str, partitions: &[(i32, i64)]) -> FetchRequest {
        let partition = |&(partition, offset): &(i32, i64)| {
            FetchPartition::default()
                .with_partition(partition)
                .with_fetch_offset(offset)
                .with_current_leader_epoch(self.leader_epoch)
                .with_partition_max_bytes(self.partition_max_bytes)
        };
        let topic = FetchTopic::default()
            .with_topic(topic_name(topic))
            .with_partitions(partitions.iter().map(partition).collect());
        let topics = if partitions.is_empty() { vec![] } else { vec![topic] };
        FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(self.max_wait_ms)
            .with_min_bytes(self.min_bytes)
            .with_max_bytes(self.max_bytes)
            .with_isolation_level(i8::from(self.is_read_committed))
            .with_session_id(self.session_id)
            .with_session_epoch(self.session_epoch)
            .with_topics(topics)
    }
}

/// What was fetched of one partition.
#[derive(Debug)]
pub struct Fetched {
    pub high_watermark: i64,
    pub last_stable_offset: i64,
    pub log_start_offset: i64,
    /// Producer ids and first offsets of aborted transactions.
    pub aborted: Vec<(i64, i64)>,
    pub batches: Vec<Bytes>,
}

impl Fetched {
    fn of(partition: PartitionData) -> Answer<Self> {
        outcome(partition.error_code)?;
        let aborted = partition.aborted_transactions.unwrap_or_default();
        Ok(Self {
            high_watermark: partition.high_watermark,
            last_stable_offset: partition.last_stable_offset,
            log_start_offset: partition.log_start_offset,
            aborted: aborted.iter().map(|a| (a.producer_id.0, a.first_offset)).collect(),
            batches: split(partition.records.unwrap_or_default()),
        })
    }

    /// All records, markers too.
    pub fn records(&self) -> Vec<Record> {
        self.batches.iter().cloned().flat_map(records).collect()
    }

    /// Offsets and values of the records that aren't markers.
    pub fn values(&self) -> Vec<(i64, String)> {
        let records = self.records().into_iter().filter(|record| !record.control);
        let value = |value: Option<Bytes>| String::from_utf8(value.unwrap().into()).unwrap();
        records.map(|record| (record.offset, value(record.value))).collect()
    }
}

/// Partitions of an answer by their number, in the order of the answer.
pub fn fetched(answer: FetchResponse) -> Vec<(i32, Answer<Fetched>)> {
    outcome(answer.error_code).unwrap();
    let partitions = answer.responses.into_iter().flat_map(|topic| topic.partitions);
    partitions.map(|p| (p.partition_index, Fetched::of(p))).collect()
}

/// A produce request for partitions of one topic.
pub fn produce_request(
    topic: &str,
    transactional_id: Option<&str>,
    partitions: Vec<(i32, Bytes)>,
) -> ProduceRequest {
    let partition = |(index, records)| {
        PartitionProduceData::default().with_index(index).with_records(Some(records))
    };
    let topic = TopicProduceData::default()
        .with_name(topic_name(topic))
        .with_partition_data(partitions.into_iter().map(partition).collect());
    ProduceRequest::default()
        .with_transactional_id(transactional_id.map(|id| TransactionalId(text(id))))
        .with_acks(-1)
        .with_timeout_ms(TIMEOUT_MS)
        .with_topic_data(vec![topic])
}

impl Wire {
    pub fn produce_all(&mut self, request: &ProduceRequest) -> Vec<PartitionProduceResponse> {
        let answer = self.ask(PRODUCE, request);
        answer.responses.into_iter().flat_map(|topic| topic.partition_responses).collect()
    }

    pub fn send_produce(&mut self, request: &ProduceRequest) {
        self.send(PRODUCE, request);
    }

    /// Appends bytes as they are and says at which offset they are.
    pub fn produce_bytes(&mut self, topic: &str, partition: i32, bytes: Bytes) -> Answer<i64> {
        let request = produce_request(topic, None, vec![(partition, bytes)]);
        let answer = self.produce_all(&request).remove(0);
        outcome(answer.error_code).map(|()| answer.base_offset)
    }

    pub fn produce(&mut self, topic: &str, partition: i32, batch: &Batch) -> Answer<i64> {
        self.produce_bytes(topic, partition, batch.encode().freeze())
    }

    /// Appends to partition 0 in a transaction.
    pub fn produce_in(&mut self, id: &str, topic: &str, batch: Batch) -> Answer<i64> {
        let bytes = batch.in_transaction().encode().freeze();
        let request = produce_request(topic, Some(id), vec![(0, bytes)]);
        let answer = self.produce_all(&request).remove(0);
        outcome(answer.error_code).map(|()| answer.base_offset)
    }

    pub fn fetch_all(&mut self, request: &FetchRequest) -> Vec<(i32, Answer<Fetched>)> {
        fetched(self.ask(FETCH, request))
    }

    pub fn fetch(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        how: &Fetch,
    ) -> Answer<Fetched> {
        self.fetch_all(&how.request(topic, &[(partition, offset)])).remove(0).1
    }

    /// Timestamp and offset that ListOffsets answers to a time, or to one of Kafka's negative numbers.
    pub fn list_offset(
        &mut self,
        topic: &str,
        partition: i32,
        time: i64,
        is_read_committed: bool,
    ) -> Answer<(i64, i64)> {
        let partition = ListOffsetsPartition::default()
            .with_partition_index(partition)
            .with_current_leader_epoch(-1)
            .with_timestamp(time);
        let topic = ListOffsetsTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(i8::from(is_read_committed))
            .with_topics(vec![topic]);
        let answer = &self.ask(LIST_OFFSETS, &request).topics[0].partitions[0];
        outcome(answer.error_code).map(|()| (answer.timestamp, answer.offset))
    }

    /// Deletes what is before `offset` and says where the log starts then.
    pub fn delete_records(&mut self, topic: &str, partition: i32, offset: i64) -> Answer<i64> {
        let partition =
            DeleteRecordsPartition::default().with_partition_index(partition).with_offset(offset);
        let topic = DeleteRecordsTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request =
            DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(TIMEOUT_MS);
        let answer = &self.ask(1, &request).topics[0].partitions[0];
        outcome(answer.error_code).map(|()| answer.low_watermark)
    }

    /// The end offset of a leader epoch, and the epoch that it belongs to.
    pub fn epoch_end(&mut self, topic: &str, partition: i32, epoch: i32) -> Answer<(i32, i64)> {
        let partition = OffsetForLeaderPartition::default()
            .with_partition(partition)
            .with_current_leader_epoch(-1)
            .with_leader_epoch(epoch);
        let topic = OffsetForLeaderTopic::default()
            .with_topic(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = OffsetForLeaderEpochRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![topic]);
        let answer = &self.ask(2, &request).topics[0].partitions[0];
        outcome(answer.error_code).map(|()| (answer.leader_epoch, answer.end_offset))
    }
}
