//! Produce requests with invalid records. Each is refused with Kafka's error, and nothing of it is stored.

use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, BrokerId, ListOffsetsRequest, MetadataRequest, ProduceRequest, RequestKind,
    ResponseKind, TopicName,
};
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use crate::scene::Scene;
use crate::wire::Client;

const LENGTH_AT: usize = 8;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const LAST_OFFSET_DELTA_AT: usize = 23;
const COUNT_AT: usize = 57;
const RECORDS_AT: usize = 61;

fn topic() -> TopicName {
    TopicName("victim".into())
}

fn batch(value: &[u8], compression: Compression) -> Vec<u8> {
    let record = Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: -1,
        timestamp: 1_000,
        key: None,
        value: Some(Bytes::copy_from_slice(value)),
        headers: [].into_iter().collect(),
    };
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression };
    RecordBatchEncoder::encode(&mut bytes, [&record], &options).unwrap();
    bytes.to_vec()
}

/// A batch with changed bytes and a correct checksum.
fn changed(batch: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut batch = batch.to_vec();
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    sealed(batch)
}

fn sealed(mut batch: Vec<u8>) -> Vec<u8> {
    let crc = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
    batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// A batch whose records are these bytes.
fn holding(records: &[u8], codec: u8) -> Vec<u8> {
    let mut batch = batch(b"", Compression::None)[..RECORDS_AT].to_vec();
    batch.extend_from_slice(records);
    let length = (batch.len() - LENGTH_AT - 4) as i32;
    batch[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&length.to_be_bytes());
    batch[ATTRIBUTES_AT + 1] = codec;
    sealed(batch)
}

/// So many zeros that no broker should decompress them.
fn bomb() -> Vec<u8> {
    let mut packed = zstd::Encoder::new(Vec::new(), 3).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..400 {
        std::io::Write::write_all(&mut packed, &zeros).unwrap();
    }
    packed.finish().unwrap()
}

fn produce(client: &mut Client, version: i16, records: Option<Vec<u8>>) -> i16 {
    let partition = PartitionProduceData::default().with_records(records.map(Bytes::from));
    let to = TopicProduceData::default().with_name(topic()).with_partition_data(vec![partition]);
    let body = ProduceRequest::default().with_acks(-1).with_topic_data(vec![to]);
    let answer = client.ask(version, &RequestKind::Produce(body), ApiKey::Produce);
    let ResponseKind::Produce(answer) = answer else { panic!("{answer:?}") };
    answer.responses[0].partition_responses[0].error_code
}

fn end_of_log(client: &mut Client) -> i64 {
    let partition = ListOffsetsPartition::default().with_timestamp(-1);
    let of = ListOffsetsTopic::default().with_name(topic()).with_partitions(vec![partition]);
    let body = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![of]);
    let answer = client.ask(7, &RequestKind::ListOffsets(body), ApiKey::ListOffsets);
    let ResponseKind::ListOffsets(answer) = answer else { panic!("{answer:?}") };
    answer.topics[0].partitions[0].offset
}

#[test]
fn records_that_are_none_are_refused_and_not_kept() {
    use ResponseError::{CorruptMessage, InvalidRecord, UnsupportedCompressionType};
    let scene = Scene::open();
    let mut client = Client::connect(&scene.broker());
    let name = MetadataRequestTopic::default().with_name(Some(topic()));
    let create = MetadataRequest::default().with_topics(Some(vec![name]));
    client.ask(4, &RequestKind::Metadata(create), ApiKey::Metadata);

    let good = batch(b"value", Compression::None);
    let mut bad_checksum = good.clone();
    *bad_checksum.last_mut().unwrap() ^= 1;
    let cases = [
        ("no records", None, InvalidRecord),
        ("nothing", Some(Vec::new()), InvalidRecord),
        ("garbage", Some(vec![0xa5; 200]), CorruptMessage),
        ("zeros", Some(vec![0; 200]), CorruptMessage),
        ("a wrong checksum", Some(bad_checksum), CorruptMessage),
        ("half a batch", Some(good[..40].to_vec()), CorruptMessage),
        ("two batches", Some([&good[..], &good].concat()), InvalidRecord),
        ("an old format", Some(changed(&good, MAGIC_AT, &[1])), InvalidRecord),
        (
            "a length of 2 GiB",
            Some(changed(&good, LENGTH_AT, &[0x7f, 0xff, 0xff, 0xff])),
            CorruptMessage,
        ),
        ("a negative length", Some(changed(&good, LENGTH_AT, &[0xff; 4])), CorruptMessage),
        ("2^31 records", Some(changed(&good, COUNT_AT, &[0x7f, 0xff, 0xff, 0xff])), InvalidRecord),
        (
            "offsets that are none",
            Some(changed(&good, LAST_OFFSET_DELTA_AT, &[0xff; 4])),
            InvalidRecord,
        ),
        ("a control batch", Some(changed(&good, ATTRIBUTES_AT, &[0, 0x20])), InvalidRecord),
        (
            "an unknown codec",
            Some(changed(&good, ATTRIBUTES_AT, &[0, 7])),
            UnsupportedCompressionType,
        ),
        ("a record of 2 GiB", Some(holding(b"\xfe\xff\xff\xff\x0f\0\0\0", 0)), InvalidRecord),
        ("a record of a negative size", Some(holding(b"\x01\0\0\0", 0)), InvalidRecord),
        ("garbage as gzip", Some(holding(&[0x5a; 100], 1)), InvalidRecord),
        ("garbage as snappy", Some(holding(&[0x5a; 100], 2)), InvalidRecord),
        ("garbage as lz4", Some(holding(&[0x5a; 100], 3)), InvalidRecord),
        ("garbage as zstd", Some(holding(&[0x5a; 100], 4)), InvalidRecord),
        ("snappy that says 4 GiB", Some(holding(b"\xff\xff\xff\xff\x0f\0", 2)), InvalidRecord),
        (
            "a bomb",
            Some(holding(&[b"\xfe\xff\xff\xff\x0f", &bomb()[..]].concat(), 4)),
            InvalidRecord,
        ),
        ("a bomb in earnest", Some(holding(&bomb(), 4)), InvalidRecord),
    ];
    let mut surprises = Vec::new();
    for (what, records, expected) in cases {
        for version in [3, 8, 9, 11] {
            let error = produce(&mut client, version, records.clone());
            let error = ResponseError::try_from_code(error);
            if error != Some(expected) {
                surprises.push(format!("{what}, version {version}: {error:?}, not {expected:?}"));
            }
        }
    }
    assert_eq!(surprises, Vec::<String>::new());
    assert_eq!(end_of_log(&mut client), 0);
    for compression in [Compression::None, Compression::Zstd] {
        assert_eq!(produce(&mut client, 9, Some(batch(b"value", compression))), 0);
    }
    assert_eq!(end_of_log(&mut client), 2);
    scene.close();
}
