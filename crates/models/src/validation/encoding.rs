//! Bytes to code points, by the rules of Python's `json.loads` for `bytes`.
//!
//! Python finds out the encoding from the first bytes (RFC 4627, section 3, plus byte order marks)
//! and lets lone surrogates pass, so text is kept as code points and not as `str`.

/// The bytes are no text in the encoding that they seem to be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Undecodable;

/// What the first bytes say about the encoding.
#[derive(Debug, Clone, Copy)]
enum Encoding {
    Utf8,
    Utf16 { big_endian: bool },
    Utf32 { big_endian: bool },
}

/// The code points of `bytes`, without a byte order mark; surrogates stay as they are.
pub(super) fn code_points(bytes: &[u8]) -> Result<Vec<u32>, Undecodable> {
    let (encoding, mark) = detect(bytes);
    let bytes = &bytes[mark..];
    match encoding {
        Encoding::Utf8 => utf8(bytes),
        Encoding::Utf16 { big_endian } => utf16(bytes, big_endian),
        Encoding::Utf32 { big_endian } => utf32(bytes, big_endian),
    }
}

/// The encoding of `bytes` and the length of its byte order mark.
fn detect(bytes: &[u8]) -> (Encoding, usize) {
    let utf16 = |big_endian| Encoding::Utf16 { big_endian };
    let utf32 = |big_endian| Encoding::Utf32 { big_endian };
    match bytes {
        [0, 0, 0xFE, 0xFF, ..] => (utf32(true), 4),
        [0xFF, 0xFE, 0, 0, ..] => (utf32(false), 4),
        [0xFE, 0xFF, ..] => (utf16(true), 2),
        [0xFF, 0xFE, ..] => (utf16(false), 2),
        [0xEF, 0xBB, 0xBF, ..] => (Encoding::Utf8, 3),
        [0, 0, _, _, ..] => (utf32(true), 0),
        [0, _, _, _, ..] | [0, _] => (utf16(true), 0),
        [_, 0, 0, 0, ..] => (utf32(false), 0),
        [_, 0, _, _, ..] | [_, 0] => (utf16(false), 0),
        _ => (Encoding::Utf8, 0),
    }
}

fn utf8(mut bytes: &[u8]) -> Result<Vec<u32>, Undecodable> {
    let mut points = Vec::with_capacity(bytes.len());
    loop {
        let (valid, rest) = match std::str::from_utf8(bytes) {
            Ok(text) => (text, &[][..]),
            Err(error) => {
                let (valid, rest) = bytes.split_at(error.valid_up_to());
                (std::str::from_utf8(valid).map_err(|_| Undecodable)?, rest)
            }
        };
        points.extend(valid.chars().map(u32::from));
        match rest {
            [] => return Ok(points),
            // A surrogate in UTF-8's pattern: Python's `surrogatepass`.
            [0xED, second @ 0xA0..=0xBF, third @ 0x80..=0xBF, tail @ ..] => {
                points.push(0xD000 | u32::from(second & 0x3F) << 6 | u32::from(third & 0x3F));
                bytes = tail;
            }
            _ => return Err(Undecodable),
        }
    }
}

fn utf16(bytes: &[u8], big_endian: bool) -> Result<Vec<u32>, Undecodable> {
    let (units, odd) = bytes.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(Undecodable);
    }
    let units = units
        .iter()
        .map(|&unit| if big_endian { u16::from_be_bytes(unit) } else { u16::from_le_bytes(unit) });
    Ok(char::decode_utf16(units)
        .map(|unit| unit.map_or_else(|lone| u32::from(lone.unpaired_surrogate()), u32::from))
        .collect())
}

fn utf32(bytes: &[u8], big_endian: bool) -> Result<Vec<u32>, Undecodable> {
    let (units, odd) = bytes.as_chunks::<4>();
    if !odd.is_empty() {
        return Err(Undecodable);
    }
    units
        .iter()
        .map(|&unit| if big_endian { u32::from_be_bytes(unit) } else { u32::from_le_bytes(unit) })
        .map(|point| if point <= u32::from(char::MAX) { Ok(point) } else { Err(Undecodable) })
        .collect()
}
