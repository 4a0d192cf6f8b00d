//! Which partition a key belongs to, as Java's clients decide it.
//!
//! Kafka Streams, Flink and ksqlDB take a topic for co-partitioned when its keys lie where
//! `org.apache.kafka.clients.producer.internals.BuiltInPartitioner` puts them. librdkafka's own default is
//! another one (CRC32), so producers here name the partition themselves.

use models::Partition;

const SEED: u32 = 0x9747_b28c;
const MULTIPLIER: u32 = 0x5bd1_e995;

/// The 32-bit murmur2 hash of `org.apache.kafka.common.utils.Utils.murmur2`.
pub fn murmur2(data: &[u8]) -> i32 {
    // Java hashes the length as an int.
    let mut hash = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        hash = hash.wrapping_mul(MULTIPLIER) ^ scramble(word);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let mut tail = [0; 4];
        tail[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u32::from_le_bytes(tail)).wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    (hash ^ (hash >> 15)).cast_signed()
}

const fn scramble(word: u32) -> u32 {
    let word = word.wrapping_mul(MULTIPLIER);
    (word ^ (word >> 24)).wrapping_mul(MULTIPLIER)
}

/// The partition of `key` in a topic of `partitions` partitions.
///
/// ```
/// assert_eq!(kafka::partitioner::partition_for(b"foobar", 5), 1);
/// ```
///
/// # Panics
///
/// If `partitions` is not positive: no topic has fewer than one.
pub fn partition_for(key: &[u8], partitions: i32) -> Partition {
    assert!(partitions > 0, "a topic has at least one partition, not {partitions}");
    // Java's toPositive drops the sign bit; it is not the absolute value.
    (murmur2(key) & i32::MAX) % partitions
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The cases of `UtilsTest.testMurmur2` in Apache Kafka, and those of `rdmurmur2.c` in librdkafka.
    #[test]
    fn hashes_are_those_of_the_java_client() {
        let cases: [(&[u8], i32); 9] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
            (b"", 275_646_681),
            (b"kafka", 0xd067_cf64_u32.cast_signed()),
            (b"1234", 0x9fc9_7b14_u32.cast_signed()),
        ];
        for (key, expected) in cases {
            assert_eq!(murmur2(key), expected, "{}", String::from_utf8_lossy(key));
        }
    }

    proptest! {
        #[test]
        fn every_key_has_a_partition_of_its_topic(key: Vec<u8>, partitions in 1..1_000_i32) {
            let partition = partition_for(&key, partitions);
            prop_assert!((0..partitions).contains(&partition));
        }
    }
}
