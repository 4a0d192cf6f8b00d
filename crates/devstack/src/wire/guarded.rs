//! A buffer that protects the decoder from lengths that are too large.
//!
//! `kafka_protocol` reserves memory for as many elements as an array's length says before it reads the first element. A
//! length of 2^31 would end the process. [`Guarded`] checks lengths before the decoder reads them:
//!
//! - In flexible versions (KIP-482) lengths are the only variable-length integers. Every element takes at least a byte,
//!   so a length that is larger than the rest of the request is an error.
//! - In older versions lengths are 32-bit integers. So are other fields, such as times and sizes, which clients may set
//!   to the largest number. A number that is too large for a length is replaced by the largest length. In any such
//!   field that still means "long" or "much", and as a length it exceeds the request.
//!
//! Either way no length is larger than [`longest`], and memory is reserved for no more elements than that.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::buf::ByteBuf;

/// The largest length that an API can use.
pub(super) const fn longest(api: ApiKey) -> usize {
    match api {
        // Metadata of members may be long. And the older versions of these APIs must tell a session of 30 minutes,
        // which is allowed, from one of 35, which is too long.
        ApiKey::JoinGroup => 1 << 21,
        // Enough for 1 MiB to fetch, or a transaction of 17 minutes.
        ApiKey::SyncGroup | ApiKey::Fetch | ApiKey::InitProducerId => 1 << 20,
        // Texts are always shorter, and so are reasonable lists.
        _ => 1 << 18,
    }
}

/// How lengths are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lengths {
    /// As integers of 32 bits (and of 16 bits, which are small enough).
    Fixed,
    /// As variable-length integers, in flexible versions.
    Compact,
}

/// The part of a request that is not read yet.
#[derive(Debug)]
pub(super) struct Guarded {
    rest: Bytes,
    lengths: Lengths,
    longest: usize,
    /// The variable-length integer that is being read.
    varint: u64,
    shift: u32,
}

impl Guarded {
    pub(super) fn new(rest: Bytes, lengths: Lengths, longest: usize) -> Self {
        Self { rest, lengths, longest, varint: 0, shift: 0 }
    }

    /// The unread rest.
    pub(super) fn into_rest(self) -> Bytes {
        self.rest
    }

    /// Takes one more byte of a variable-length integer.
    ///
    /// Booleans are read the same way. One that is not 0 or 1 may be taken for the start of the next length, which then
    /// seems larger than it is, never smaller.
    fn check_varint(&mut self, byte: u8) -> Result<(), TryGetError> {
        let available = self.rest.len();
        let too_long =
            |requested: u64| Err(TryGetError { requested: requested as usize, available });
        if self.shift > 5 * 7 {
            return too_long(u64::MAX);
        }
        self.varint |= u64::from(byte & 0x7f) << self.shift;
        self.shift += 7;
        // Lengths are encoded plus one; zero means null.
        let length = self.varint.saturating_sub(1);
        if length > 1 && length > available.min(self.longest) as u64 {
            return too_long(length);
        }
        if byte < 0x80 {
            (self.varint, self.shift) = (0, 0);
        }
        Ok(())
    }
}

impl Buf for Guarded {
    fn remaining(&self) -> usize {
        self.rest.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.rest.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.rest.advance(count);
    }

    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        self.rest.copy_to_bytes(len)
    }

    /// Reads booleans, and variable-length integers byte by byte.
    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        let byte = self.rest.try_get_u8()?;
        if self.lengths == Lengths::Compact {
            self.check_varint(byte)?;
        }
        Ok(byte)
    }

    fn try_get_i32(&mut self) -> Result<i32, TryGetError> {
        let value = self.rest.try_get_i32()?;
        match usize::try_from(value) {
            Ok(large) if self.lengths == Lengths::Fixed && large > self.longest => {
                let available = self.rest.len();
                if large <= available {
                    // It may be a correct length, and then a smaller one would misread the rest.
                    return Err(TryGetError { requested: large, available: self.longest });
                }
                Ok(self.longest as i32)
            }
            _ => Ok(value),
        }
    }
}

impl ByteBuf for Guarded {
    fn peek_bytes(&mut self, range: std::ops::Range<usize>) -> Bytes {
        self.rest.slice(range)
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        self.rest.split_to(size)
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::{
        ApiVersionsRequest, CreateTopicsRequest, FetchRequest, MetadataRequest,
    };
    use kafka_protocol::protocol::{Decodable, Encodable};
    use proptest::prelude::*;

    use super::*;

    fn guarded(bytes: impl Into<Bytes>, lengths: Lengths) -> Guarded {
        Guarded::new(bytes.into(), lengths, longest(ApiKey::Fetch))
    }

    #[test]
    fn lengths_that_exceed_the_request_are_errors() {
        let huge_array = guarded(&[0x7f, 0xff, 0xff, 0xff, 0, 0][..], Lengths::Fixed);
        assert!(MetadataRequest::decode(&mut { huge_array }, 1).is_err());
        let huge_compact = guarded(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0][..], Lengths::Compact);
        assert!(MetadataRequest::decode(&mut { huge_compact }, 12).is_err());
    }

    #[test]
    fn a_byte_that_looks_like_the_beginning_of_a_length_hides_no_length() {
        for boolean in [0x00, 0x01, 0x80, 0xff] {
            let bytes = [boolean, 0x80, 0x80, 0x80, 0x80, 0x0f, 0, 0, 0];
            let mut buffer = guarded(bytes.to_vec(), Lengths::Compact);
            let read = (0..6).try_for_each(|_| buffer.try_get_u8().map(drop));
            assert!(read.is_err(), "{boolean:#x}");
        }
    }

    #[test]
    fn a_long_list_is_an_error_rather_than_a_shorter_one() {
        let count = 1 << 19;
        let mut bytes = vec![0; 4 + 2 * count];
        bytes[..4].copy_from_slice(&(count as i32).to_be_bytes());
        let mut buffer = Guarded::new(bytes.into(), Lengths::Fixed, longest(ApiKey::Metadata));
        assert!(MetadataRequest::decode(&mut buffer, 1).is_err());
    }

    #[test]
    fn an_unlimited_field_stays_readable() {
        let request = FetchRequest::default().with_max_wait_ms(i32::MAX).with_max_bytes(i32::MAX);
        for version in 4..=16 {
            let mut bytes = bytes::BytesMut::new();
            request.encode(&mut bytes, version).unwrap();
            let (lengths, expected) = match version {
                ..12 => (Lengths::Fixed, longest(ApiKey::Fetch) as i32),
                _ => (Lengths::Compact, i32::MAX),
            };
            let read = FetchRequest::decode(&mut guarded(bytes, lengths), version).unwrap();
            assert_eq!((read.max_wait_ms, read.max_bytes), (expected, expected), "{version}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, version in 0..16_i16) {
            let buffer = |api: ApiKey| {
                let lengths = crate::wire::lengths(api.request_header_version(version));
                Guarded::new(bytes.clone().into(), lengths, longest(api))
            };
            let _ = FetchRequest::decode(&mut buffer(ApiKey::Fetch), version);
            let _ = CreateTopicsRequest::decode(&mut buffer(ApiKey::CreateTopics), version);
            let _ = ApiVersionsRequest::decode(&mut buffer(ApiKey::ApiVersions), version);
        }
    }
}
