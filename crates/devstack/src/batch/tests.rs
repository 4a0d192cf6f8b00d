use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, Record as Written, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::validate::split;
use super::*;

pub(crate) const CODECS: [(CompressionCodec, Compression); 5] = [
    (CompressionCodec::None, Compression::None),
    (CompressionCodec::Gzip, Compression::Gzip),
    (CompressionCodec::Snappy, Compression::Snappy),
    (CompressionCodec::Lz4, Compression::Lz4),
    (CompressionCodec::Zstd, Compression::Zstd),
];

const ANY: BatchRules = BatchRules { requires_key: false, timestamps: Millis::MIN..=Millis::MAX };

impl BatchHeader {
    /// Of a batch of an idempotent producer, without timestamps.
    pub(crate) fn of_producer(id: i64, epoch: i16, first_sequence: i32, records: i32) -> Self {
        Self {
            base_offset: 0,
            crc: 0,
            attributes: 0,
            last_offset_delta: records - 1,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
            producer_id: id,
            producer_epoch: epoch,
            base_sequence: first_sequence,
            record_count: records,
        }
    }

    /// The same as part of a transaction.
    pub(crate) fn in_transaction(mut self) -> Self {
        self.attributes |= TRANSACTIONAL;
        self
    }
}

/// A record outside of idempotent production, to be changed as needed.
pub(crate) fn record(
    offset: i64,
    timestamp: Millis,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Written {
    Written {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset,
        // The encoder wants it to go with the offset.
        sequence: NO_SEQUENCE.wrapping_add(offset as i32),
        timestamp,
        key: key.map(Bytes::copy_from_slice),
        value: value.map(Bytes::copy_from_slice),
        headers: [].into_iter().collect(),
    }
}

/// The batch of `records` as another implementation of the format writes it.
pub(crate) fn encode(records: &[Written], compression: Compression) -> Bytes {
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: MAGIC, compression };
    RecordBatchEncoder::encode(&mut bytes, records, &options).unwrap();
    bytes.freeze()
}

/// What another implementation of the format reads.
pub(crate) fn decode(batch: &Bytes) -> Vec<Written> {
    RecordBatchDecoder::decode(&mut batch.clone()).unwrap().records
}

fn three_records() -> Vec<Written> {
    vec![
        record(0, 100, Some(b"a"), Some(b"1")),
        record(1, 300, None, Some(b"2")),
        record(2, 200, Some(b"c"), None),
    ]
}

/// `batch` with a field changed and its checksum right.
fn with_field(batch: &[u8], at: usize, field: &[u8]) -> Bytes {
    let mut bytes = BytesMut::from(batch);
    put(&mut bytes, at, field);
    seal(&mut bytes);
    bytes.freeze()
}

/// A batch that holds `records`, compressed already.
fn holding(codec: CompressionCodec, record_count: i32, records: &[u8]) -> Bytes {
    BatchHeader {
        base_offset: 0,
        crc: 0,
        attributes: CODECS.iter().position(|&(known, _)| known == codec).unwrap() as i16,
        last_offset_delta: record_count - 1,
        base_timestamp: 100,
        max_timestamp: 300,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: -1,
        base_sequence: NO_SEQUENCE,
        record_count,
    }
    .with_records(records)
}

/// The records of a batch as they are, uncompressed.
fn plain(records: &[Written]) -> Vec<u8> {
    encode(records, Compression::None)[HEADER..].to_vec()
}

fn field() -> impl Strategy<Value = Option<Bytes>> {
    proptest::option::of(vec(any::<u8>(), 0..40).prop_map(Bytes::from))
}

/// Records of one batch, with headers, at any times.
fn written() -> impl Strategy<Value = Vec<Written>> {
    let headers = vec(("[a-z]{0,5}", field()), 0..3);
    vec((field(), field(), 0..1_i64 << 50, headers), 1..50).prop_map(|fields| {
        let with_offset = (0..).zip(fields);
        let written = with_offset.map(|(offset, (key, value, timestamp, headers))| {
            let headers = headers.into_iter();
            let headers = headers.map(|(name, value)| (StrBytes::from_string(name), value));
            Written {
                key,
                value,
                headers: headers.collect(),
                ..record(offset, timestamp, None, None)
            }
        });
        written.collect()
    })
}

proptest! {
    #[test]
    fn records_are_read_as_others_write_them(written in written(), codec in 0..CODECS.len()) {
        let (codec, compression) = CODECS[codec];
        let batch = encode(&written, compression);
        let header = validate(&batch, &ANY).unwrap();
        prop_assert_eq!(header.codec().unwrap(), codec);
        prop_assert_eq!(header.record_count as usize, written.len());
        let latest_timestamp = written.iter().map(|record| record.timestamp).max().unwrap();
        prop_assert_eq!(header.max_timestamp, latest_timestamp);
        let read: Vec<Record> = Records::of(&batch).unwrap().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(read.len(), written.len());
        for (read, written) in read.iter().zip(&written) {
            prop_assert_eq!(read.offset, written.offset);
            prop_assert_eq!(read.timestamp, written.timestamp);
            prop_assert_eq!(&read.key(), &written.key);
            prop_assert_eq!(read.is_tombstone, written.value.is_none());
        }
        let first = written.iter().find(|record| record.timestamp == latest_timestamp).unwrap();
        let found = Some((first.offset, first.timestamp));
        prop_assert_eq!(latest(&batch).unwrap(), found);
        prop_assert_eq!(at_time(&batch, latest_timestamp, 0).unwrap(), found);
        prop_assert_eq!(at_time(&batch, latest_timestamp + 1, 0).unwrap(), None);
    }

    #[test]
    fn others_read_what_is_compressed_here(written in written(), codec in 0..CODECS.len()) {
        let (codec, compression) = CODECS[codec];
        let batch = encode(&written, Compression::None);
        let mut header = BatchHeader::parse(&batch).unwrap();
        header.attributes = compression as i16;
        let mut records = Vec::new();
        for record in Records::of(&batch).unwrap() {
            record.unwrap().put(&mut records);
        }
        let batch = header.with_records(&codec.compress(records).unwrap());
        let mut expected = decode(&encode(&written, compression));
        for record in &mut expected {
 record.partition_leader_epoch = LEADER_EPOCH;
}
        prop_assert_eq!(decode(&batch), expected);
    }

    #[test]
    fn no_bytes_make_it_panic(
        written in written(),
        codec in 0..CODECS.len(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        seals in any::<bool>(),
    ) {
        let mut bytes = BytesMut::from(&encode(&written, CODECS[codec].1)[..]);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        // Past the checksum, a good length and a good magic there is more to damage.
        if seals && bytes.len() >= HEADER {
            let length = (bytes.len() - PREFIX) as i32;
            put(&mut bytes, 8, &length.to_be_bytes());
            put(&mut bytes, MAGIC_AT, &[MAGIC as u8]);
            seal(&mut bytes);
        }
        read_everything(&bytes.freeze());
    }

    #[test]
    fn no_noise_makes_it_panic(bytes in vec(any::<u8>(), 0..300), codec in 0..CODECS.len()) {
        let bytes = Bytes::from(bytes);
        read_everything(&holding(CODECS[codec].0, 3, &bytes));
        read_everything(&bytes);
    }
}

fn read_everything(bytes: &Bytes) {
    let _ = split(bytes.clone());
    let _ = produced(Some(bytes.clone()));
    let _ = latest(bytes);
    let _ = at_time(bytes, 0, 0);
    if let Ok(header) = BatchHeader::parse(bytes) {
        let _ = (header.last_offset_delta, header.last_sequence());
    }
    if let Ok(header) = validate(bytes, &ANY) {
        header.place(bytes.clone(), 7, Some(5));
    }
}

#[test]
fn a_batch_that_is_wrong_is_refused_as_kafka_does() {
    use ResponseError::{
        CorruptMessage, InvalidRecord, InvalidTimestamp, UnsupportedCompressionType,
    };
    let good = encode(&three_records(), Compression::None);
    let field = |at, field: &[u8]| with_field(&good, at, field);
    let mut bad_checksum = BytesMut::from(&good[..]);
    bad_checksum[HEADER + 5] ^= 1;
    let cases = [
        ("cut", good.slice(..good.len() - 1), CorruptMessage),
        ("shorter than a header", field(8, &48_i32.to_be_bytes()).slice(..60), CorruptMessage),
        ("empty", Bytes::new(), CorruptMessage),
        ("negative length", field(8, &(-1_i32).to_be_bytes()), CorruptMessage),
        ("checksum", bad_checksum.freeze(), CorruptMessage),
        ("magic 1", field(MAGIC_AT, &[1]), InvalidRecord),
        ("codec 5", field(ATTRIBUTES_AT, &[0, 5]), UnsupportedCompressionType),
        ("control", field(ATTRIBUTES_AT, &CONTROL.to_be_bytes()), InvalidRecord),
        ("append time", field(ATTRIBUTES_AT, &LOG_APPEND_TIME.to_be_bytes()), InvalidTimestamp),
        ("nobody's transaction", field(ATTRIBUTES_AT, &TRANSACTIONAL.to_be_bytes()), InvalidRecord),
        ("base offset", field(0, &1_i64.to_be_bytes()), InvalidRecord),
        ("last offset", field(23, &3_i32.to_be_bytes()), InvalidRecord),
        ("no records", with_field(&field(23, &(-1_i32).to_be_bytes()), 57, &[0; 4]), InvalidRecord),
        ("count", field(57, &4_i32.to_be_bytes()), InvalidRecord),
        ("negative count", field(57, &i32::MIN.to_be_bytes()), InvalidRecord),
        ("producer without sequence", field(43, &5_i64.to_be_bytes()), InvalidRecord),
        (
            "one record more",
            holding(CompressionCodec::None, 2, &plain(&three_records())),
            InvalidRecord,
        ),
        (
            "one record less",
            holding(CompressionCodec::None, 4, &plain(&three_records())),
            InvalidRecord,
        ),
        ("no bytes of a record", holding(CompressionCodec::None, 1, &[]), InvalidRecord),
        ("negative size", holding(CompressionCodec::None, 1, &[1]), InvalidRecord),
        ("size without end", holding(CompressionCodec::None, 1, &[0xff; 6]), InvalidRecord),
        (
            "offsets with a gap",
            holding(
                CompressionCodec::None,
                2,
                &plain(&[record(0, 0, None, None), record(2, 0, None, None)]),
            ),
            InvalidRecord,
        ),
        (
            "header without key",
            holding(CompressionCodec::None, 1, &[14, 0, 0, 0, 1, 1, 2, 1]),
            InvalidRecord,
        ),
        (
            "negative headers",
            holding(CompressionCodec::None, 1, &[12, 0, 0, 0, 1, 1, 1]),
            InvalidRecord,
        ),
        (
            "more headers than bytes",
            holding(CompressionCodec::None, 1, &[12, 0, 0, 0, 1, 1, 126]),
            InvalidRecord,
        ),
        (
            "a byte behind the headers",
            holding(CompressionCodec::None, 1, &[14, 0, 0, 0, 1, 1, 0, 0]),
            InvalidRecord,
        ),
    ];
    for (name, batch, expected) in cases {
        let error = validate(&batch, &ANY).unwrap_err();
        assert_eq!(error.error, expected, "{name}: {error}");
    }
    validate(&good, &ANY).unwrap();
    validate(&holding(CompressionCodec::None, 1, &[12, 0, 0, 0, 1, 1, 0]), &ANY).unwrap();
}

#[test]
fn what_is_wrong_is_found_through_compression() {
    for (codec, _) in CODECS {
        let packed = codec.compress(plain(&three_records())).unwrap();
        validate(&holding(codec, 3, &packed), &ANY).unwrap();
        for (name, batch) in [
            ("one record more", holding(codec, 2, &packed)),
            ("one record less", holding(codec, 4, &packed)),
            ("cut", holding(codec, 3, &packed[..packed.len() / 2])),
            ("empty", holding(codec, 3, &[])),
        ] {
            let error = validate(&batch, &ANY).unwrap_err();
            assert_eq!(error.error, ResponseError::InvalidRecord, "{codec:?}, {name}: {error}");
        }
    }
}

#[test]
fn a_compacted_topic_refuses_records_without_key() {
    let rules = BatchRules { requires_key: true, ..ANY };
    for (_, compression) in CODECS {
        let error = validate(&encode(&three_records(), compression), &rules).unwrap_err();
        assert_eq!(error.error, ResponseError::InvalidRecord);
        assert!(error.text.contains("record 1 "), "{error}");
        let mut with_keys = three_records();
        with_keys[1].key = Some(Bytes::new());
        validate(&encode(&with_keys, compression), &rules).unwrap();
    }
}

#[test]
fn timestamps_out_of_range_are_refused() {
    let batch = encode(&three_records(), Compression::Lz4);
    for (timestamps, accepted) in [(100..=300, true), (101..=300, false), (100..=299, false)] {
        let rules = BatchRules { requires_key: false, timestamps };
        let answer = validate(&batch, &rules).map_err(|error| error.error);
        let expected = if accepted { Ok(()) } else { Err(ResponseError::InvalidTimestamp) };
        assert_eq!(answer.map(|_| ()), expected, "{rules:?}");
    }
    let none = encode(&[record(0, NO_TIMESTAMP, None, None)], Compression::None);
    validate(&none, &BatchRules { requires_key: false, timestamps: 100..=300 }).unwrap();
}

#[test]
fn snappy_without_blocks_is_read_as_librdkafka_writes_it() {
    let packed = snap::raw::Encoder::new().compress_vec(&plain(&three_records())).unwrap();
    let batch = holding(CompressionCodec::Snappy, 3, &packed);
    assert_eq!(validate(&batch, &ANY).unwrap().record_count, 3);
}

#[test]
fn what_unpacks_to_too_much_is_refused() {
    // Says that it has 300 MiB, and has some of them.
    let mut large = vec![0x80, 0x80, 0x80, 0xac, 0x02];
    large.extend([0; 10_000]);
    for (codec, _) in &CODECS[1..] {
        let packed = codec.compress(large.clone()).unwrap();
        let error = validate(&holding(*codec, 1, &packed), &ANY).unwrap_err();
        assert!(error.text.contains("more than 256 MiB"), "{codec:?}: {error}");
    }
    // Says that it unpacks to 4 GiB.
    let bomb = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    let error = validate(&holding(CompressionCodec::Snappy, 1, &bomb), &ANY).unwrap_err();
    assert!(error.text.contains("larger than it can be"), "{error}");
    // 300 MiB in good records of 1 MiB.
    let megabyte = plain(&[record(0, 100, None, Some(&vec![0; 1 << 20]))]);
    let packed = CompressionCodec::Zstd.compress(megabyte).unwrap().repeat(300);
    let batch = holding(CompressionCodec::Zstd, 300, &packed);
    let mut records = Records::of(&batch).unwrap();
    let error = records.by_ref().find_map(Result::err).unwrap();
    assert!(error.text.contains("more than 256 MiB"), "{error}");
    assert_eq!(records.next(), None, "it is over after an error");
}

#[test]
fn a_placed_batch_has_its_offset_and_a_good_checksum() {
    let sent = encode(&three_records(), Compression::Gzip);
    let header = validate(&sent, &ANY).unwrap();
    let stored = header.place(sent.clone(), 1_000, None);
    let place = (stored.base_offset, stored.last_offset, stored.max_timestamp);
    assert_eq!(place, (1_000, 1_002, 300));
    assert_eq!(sent[..8], [0; 8], "what others hold is left alone");
    let read = decode(&stored.bytes);
    let offsets: Vec<i64> = read.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [1_000, 1_001, 1_002]);
    assert_eq!(read[0].partition_leader_epoch, LEADER_EPOCH);
    assert_eq!(stored.bytes[CRC_AT..], sent[CRC_AT..], "stored as it came");
    assert_eq!(BatchHeader::parse(&stored.bytes).unwrap().last_offset(), 1_002);
    let at = sent.as_ptr();
    assert_eq!(header.place(sent, 5, None).bytes.as_ptr(), at, "nobody else holds it");
}

#[test]
fn log_append_time_is_the_time_of_all_records() {
    let sent = encode(&three_records(), Compression::Zstd);
    let stored = validate(&sent, &ANY).unwrap().place(sent, 10, Some(7_000));
    assert_eq!(stored.max_timestamp, 7_000);
    assert_eq!(decode(&stored.bytes)[0].timestamp_type, TimestampType::LogAppend);
    let header = BatchHeader::parse(&stored.bytes).unwrap();
    assert!(header.is_log_append_time());
    assert_eq!((header.max_timestamp, header.crc), (7_000, checksum(&stored.bytes)));
    assert_eq!(at_time(&stored.bytes, 7_000, 0).unwrap(), Some((10, 7_000)));
    assert_eq!(latest(&stored.bytes).unwrap(), Some((10, 7_000)));
}

#[test]
fn a_largest_timestamp_that_is_not_true_is_put_right() {
    let sent = encode(&three_records(), Compression::None);
    let sent = with_field(&sent, MAX_TIMESTAMP_AT, &9_999_i64.to_be_bytes());
    let header = validate(&sent, &ANY).unwrap();
    let stored = header.place(sent, 0, None);
    assert_eq!(stored.max_timestamp, 300);
    let stored = BatchHeader::parse(&stored.bytes).map(|header| header.max_timestamp);
    assert_eq!(stored, Ok(300));
}

#[test]
fn records_are_found_by_time() {
    let batch = encode(&three_records(), Compression::Snappy);
    for (timestamp, expected) in [
        (0, Some((0, 100))),
        (100, Some((0, 100))),
        (101, Some((1, 300))),
        (300, Some((1, 300))),
        (301, None),
    ] {
        assert_eq!(at_time(&batch, timestamp, 0).unwrap(), expected, "from {timestamp}");
    }
}

#[test]
fn records_are_split_into_batches() {
    let batch = encode(&three_records(), Compression::None);
    let twice = Bytes::from([&batch[..], &batch[..]].concat());
    assert_eq!(split(Bytes::new()).unwrap(), Vec::<Bytes>::new());
    assert_eq!(split(batch.clone()).unwrap(), std::slice::from_ref(&batch));
    assert_eq!(split(twice.clone()).unwrap(), [batch.clone(), batch.clone()]);
    for cut in 1..batch.len() {
        let error = split(twice.slice(..batch.len() + cut)).unwrap_err();
        assert_eq!(error.error, ResponseError::CorruptMessage, "{cut}");
    }
    assert_eq!(produced(Some(batch.clone())).unwrap(), batch);
    for wrong in [None, Some(Bytes::new()), Some(twice)] {
        let error = produced(wrong).unwrap_err();
        assert_eq!(error.error, ResponseError::InvalidRecord, "{error}");
    }
}

#[test]
fn the_end_of_a_transaction_is_written_as_kafka_does() {
    for (marker, id) in [(Marker::Abort, 0), (Marker::Commit, 1)] {
        let stored = control_batch(marker, 50, 4_000, 3, 9, 1_234);
        assert_eq!((stored.base_offset, stored.last_offset, stored.max_timestamp), (50, 50, 1_234));
        let header = BatchHeader::parse(&stored.bytes).unwrap();
        assert!(header.is_control() && header.is_transactional());
        assert_eq!((header.crc, header.base_sequence), (checksum(&stored.bytes), NO_SEQUENCE));
        let [read] = &decode(&stored.bytes)[..] else { panic!("one record") };
        assert_eq!((read.offset, read.timestamp), (50, 1_234));
        assert_eq!((read.producer_id, read.producer_epoch), (4_000, 3));
        assert_eq!(read.key.as_deref(), Some(&[0, 0, 0, id][..]));
        assert_eq!(read.value.as_deref(), Some(&[0, 0, 0, 0, 0, 9][..]));
        assert_eq!(Records::of(&stored.bytes).unwrap().count(), 1);
    }
}

#[test]
fn sequence_numbers_begin_again_behind_the_largest() {
    let mut header = BatchHeader::parse(&encode(&three_records(), Compression::None)).unwrap();
    for (base, last) in
        [(-1, -1), (0, 2), (i32::MAX - 2, i32::MAX), (i32::MAX - 1, 0), (i32::MAX, 1)]
    {
        header.base_sequence = base;
        assert_eq!(header.last_sequence(), last, "from {base}");
    }
}
