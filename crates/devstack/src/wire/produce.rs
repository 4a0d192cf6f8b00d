//! Decodes Produce requests, the only large ones, without reserving more memory than they have bytes.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, TopicName, TransactionalId};
use kafka_protocol::protocol::StrBytes;

/// The first flexible version (KIP-482).
const FLEXIBLE: i16 = 9;
/// The largest number of topics and partitions in one request. A broker never has so many.
const MOST_NAMED: usize = 1 << 16;

/// Why bytes can't be decoded as a Produce request.
#[derive(Debug, thiserror::Error)]
pub(super) enum Malformed {
    #[error(transparent)]
    Short(#[from] TryGetError),
    #[error("a text is not UTF-8: {0}")]
    Text(#[from] std::str::Utf8Error),
    #[error("{what} has a length of {length}")]
    Length { what: &'static str, length: i64 },
    #[error("{what} can't be null")]
    Null { what: &'static str },
    #[error("it names more than {MOST_NAMED} topics and partitions")]
    Many,
    #[error("a number goes on behind its fifth byte")]
    Varint,
}

/// Decodes the body of a request in version 3 to 12.
pub(super) fn read(body: Bytes, version: i16) -> Result<ProduceRequest, Malformed> {
    let mut fields = ProduceFields { rest: body, is_flexible: version >= FLEXIBLE, named: 0 };
    let transactional_id = fields.text()?.map(TransactionalId);
    let acks = fields.rest.try_get_i16()?;
    let timeout_ms = fields.rest.try_get_i32()?;
    let topic_data = fields.list("the list of topics", |fields| {
        let name = fields.text()?.ok_or(Malformed::Null { what: "the name of a topic" })?;
        let partition_data = fields.list("the list of a topic's partitions", |fields| {
            let index = fields.rest.try_get_i32()?;
            let records = fields.bytes()?;
            fields.skip_tagged()?;
            Ok(PartitionProduceData::default().with_index(index).with_records(records))
        })?;
        fields.skip_tagged()?;
        let topic = TopicProduceData::default().with_name(TopicName(name));
        Ok(topic.with_partition_data(partition_data))
    })?;
    fields.skip_tagged()?;
    Ok(ProduceRequest::default()
        .with_transactional_id(transactional_id)
        .with_acks(acks)
        .with_timeout_ms(timeout_ms)
        .with_topic_data(topic_data))
}

struct ProduceFields {
    rest: Bytes,
    is_flexible: bool,
    /// The number of topics and partitions so far.
    named: usize,
}

impl ProduceFields {
    fn varint(&mut self) -> Result<u32, Malformed> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.rest.try_get_u8()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed::Varint)
    }

    /// The length of a list or of bytes. `None` is null.
    fn length(&mut self, what: &'static str) -> Result<Option<usize>, Malformed> {
        let length = if self.is_flexible {
            i64::from(self.varint()?) - 1
        } else {
            i64::from(self.rest.try_get_i32()?)
        };
        size(length, what)
    }

    fn text(&mut self) -> Result<Option<StrBytes>, Malformed> {
        let what = "a text";
        let length = if self.is_flexible {
            self.length(what)?
        } else {
            size(self.rest.try_get_i16()?.into(), what)?
        };
        let bytes = length.map(|length| self.take(length)).transpose()?;
        Ok(bytes.map(StrBytes::from_utf8).transpose()?)
    }

    fn bytes(&mut self) -> Result<Option<Bytes>, Malformed> {
        let length = self.length("the records of a partition")?;
        length.map(|length| self.take(length)).transpose()
    }

    fn list<T>(
        &mut self,
        what: &'static str,
        read: impl Fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let length = self.length(what)?.ok_or(Malformed::Null { what })?;
        self.named = self.named.saturating_add(length);
        if self.named > MOST_NAMED {
            return Err(Malformed::Many);
        }
        (0..length).map(|_| read(self)).collect()
    }

    /// Skips tagged fields. The protocol defines none for this request yet.
    fn skip_tagged(&mut self) -> Result<(), Malformed> {
        if self.is_flexible {
            for _ in 0..self.varint()? {
                let _tag = self.varint()?;
                let length = self.varint()? as usize;
                self.take(length)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, size: usize) -> Result<Bytes, Malformed> {
        let available = self.rest.len();
        if size > available {
            return Err(TryGetError { requested: size, available }.into());
        }
        Ok(self.rest.split_to(size))
    }
}

fn size(length: i64, what: &'static str) -> Result<Option<usize>, Malformed> {
    match length {
        -1 => Ok(None),
        _ => usize::try_from(length).map(Some).map_err(|_| Malformed::Length { what, length }),
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn written(request: &ProduceRequest, version: i16) -> Bytes {
        let mut bytes = BytesMut::new();
        request.encode(&mut bytes, version).unwrap();
        bytes.freeze()
    }

    prop_compose! {
        fn any_request()(
            id in option::of("[a-z]{0,9}"),
            acks: i16,
            timeout_ms: i32,
            topics in vec(("[a-zé]{0,200}", vec((any::<i32>(), option::of(any::<Vec<u8>>())), 0..4)), 0..4),
        ) -> ProduceRequest {
            let topics = topics.into_iter().map(|(name, partitions)| {
                let partitions = partitions.into_iter().map(|(index, records)| {
                    let partition = PartitionProduceData::default().with_index(index);
                    partition.with_records(records.map(Bytes::from))
                });
                TopicProduceData::default()
                    .with_name(TopicName(name.into()))
                    .with_partition_data(partitions.collect())
            });
            ProduceRequest::default()
                .with_transactional_id(id.map(|id| TransactionalId(id.into())))
                .with_acks(acks)
                .with_timeout_ms(timeout_ms)
                .with_topic_data(topics.collect())
        }
    }

    proptest! {
        #[test]
        fn what_another_implementation_writes_is_read(request in any_request(), version in 3..=12_i16) {
            prop_assert_eq!(read(written(&request, version), version).unwrap(), request);
        }

        #[test]
        fn what_ends_early_is_refused(request in any_request(), version in 3..=12_i16, cut: prop::sample::Index) {
            let bytes = written(&request, version);
            prop_assert!(read(bytes.slice(..cut.index(bytes.len())), version).is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, version in 3..=12_i16) {
            let _ = read(bytes.into(), version);
        }
    }

    #[test]
    fn tagged_fields_are_passed_over() {
        let request = ProduceRequest::default().with_acks(1);
        let tagged =
            request.clone().with_unknown_tagged_fields([(5, Bytes::from_static(b"x"))].into());
        assert_eq!(read(written(&tagged, 9), 9).unwrap(), request);
    }

    #[test]
    fn lists_that_are_not_there_are_refused() {
        for (version, body) in [
            (3, &b"\xff\xff\0\x01\0\0\0\0\x7f\xff\xff\xff\0\0"[..]),
            (3, b"\xff\xff\0\x01\0\0\0\0\xff\xff\xff\xff"),
            (3, b"\xff\xff\0\x01\0\0\0\0\xff\xff\xff\xfe"),
            (9, b"\0\0\x01\0\0\0\0\xff\xff\xff\xff\x0f\0\0"),
            (9, b"\0\0\x01\0\0\0\0\xff\xff\xff\xff\xff\x0f"),
            (9, b"\0\0\x01\0\0\0\0\0\0"),
        ] {
            assert!(read(Bytes::from_static(body), version).is_err(), "{body:?}");
        }
    }

    #[test]
    fn more_partitions_than_there_can_be_are_refused() {
        let mut body = b"\0\0\x01\0\0\0\0".to_vec();
        body.extend(b"\xff\xff\x7f");
        // Empty names, empty lists, no tagged fields.
        body.extend(b"\x01\x01\0".repeat(1 << 21));
        assert!(matches!(read(body.into(), 9), Err(Malformed::Many)));
    }
}
