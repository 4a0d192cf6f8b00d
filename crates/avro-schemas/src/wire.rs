//! Confluent's wire format: a zero byte, the schema id as four bytes big-endian, the Avro datum.
//!
//! Source: <https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format>.

use std::fmt;

/// The first byte of every framed value.
const MAGIC: u8 = 0;

/// Bytes in front of the Avro datum.
pub const HEADER_BYTES: usize = 5;

/// The number that the registry gave a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaId(u32);

impl SchemaId {
    /// The id `id`.
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// The number itself.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// What stands in front of a datum that was written with this schema.
    pub const fn header(self) -> [u8; HEADER_BYTES] {
        let [a, b, c, d] = self.0.to_be_bytes();
        [MAGIC, a, b, c, d]
    }
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why bytes are not a framed value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// There are fewer bytes than the header has.
    #[error(
        "too short for Confluent's wire format: {len} bytes, the header alone has {HEADER_BYTES}"
    )]
    TooShort {
        /// Bytes that there are.
        len: usize,
    },
    /// The first byte is not zero: the value was not written by a Confluent serializer.
    #[error("no magic byte: the value begins with 0x{found:02x} instead of 0x00")]
    NoMagicByte {
        /// The first byte.
        found: u8,
    },
}

/// Takes a framed value apart: the id of the schema that it was written with, and the Avro datum.
///
/// ```
/// let (id, datum) = avro_schemas::frame(&[0, 0, 0, 1, 2, 0x06])?;
/// assert_eq!((id.get(), datum), (258, &[0x06][..]));
/// # Ok::<(), avro_schemas::FrameError>(())
/// ```
///
/// # Errors
///
/// [`FrameError`] if `value` is no framed value. The magic byte is looked at before the length, so that a
/// short text is reported as what it is.
pub fn frame(value: &[u8]) -> Result<(SchemaId, &[u8]), FrameError> {
    match value {
        [MAGIC, a, b, c, d, datum @ ..] => {
            Ok((SchemaId(u32::from_be_bytes([*a, *b, *c, *d])), datum))
        }
        [] | [MAGIC, ..] => Err(FrameError::TooShort { len: value.len() }),
        [found, ..] => Err(FrameError::NoMagicByte { found: *found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_frames_say_what_is_wrong() {
        let cases: [(&[u8], FrameError); 6] = [
            (b"", FrameError::TooShort { len: 0 }),
            (b"\0", FrameError::TooShort { len: 1 }),
            (b"\0\0\0\x01", FrameError::TooShort { len: 4 }),
            (b"{", FrameError::NoMagicByte { found: b'{' }),
            (b"{\"trip_id\":1}", FrameError::NoMagicByte { found: b'{' }),
            (b"\x01\0\0\0\x01abc", FrameError::NoMagicByte { found: 1 }),
        ];
        for (value, expected) in cases {
            assert_eq!(frame(value), Err(expected), "{value:?}");
        }
    }

    #[test]
    fn the_id_is_read_as_it_is_written() {
        let mut value = SchemaId::new(0xDEAD_BEEF).header().to_vec();
        assert_eq!(value, [0, 0xDE, 0xAD, 0xBE, 0xEF]);
        assert_eq!(frame(&value), Ok((SchemaId::new(0xDEAD_BEEF), &[][..])));
        value.push(7);
        assert_eq!(frame(&value), Ok((SchemaId::new(0xDEAD_BEEF), &[7][..])));
    }
}
