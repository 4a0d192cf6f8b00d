//! The key of a request that is to be done once.

use std::sync::Arc;

/// The longest key, in characters; a UUID has 36.
const LONGEST: usize = 255;

/// What a client calls its request. Cloning it is cheap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct IdempotencyKey(Arc<str>);

/// A key that can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidKey {
    #[error("must have from 1 to {LONGEST} characters")]
    Length,
    #[error("must consist of printable ASCII characters")]
    Characters,
    #[error("has a quote that isn't closed, or an escape other than \\\" and \\\\")]
    Quotes,
    #[error("must be given once")]
    NotOne,
}

impl IdempotencyKey {
    /// Reads the header's value. The draft wants an RFC 8941 string, `"..."`; most clients in the field send the bare
    /// text, which is taken for the same key.
    pub(crate) fn from_header(value: &[u8]) -> Result<Self, InvalidKey> {
        let text = match value.strip_prefix(b"\"") {
            None => value.to_vec(),
            Some(quoted) => unquoted(quoted)?,
        };
        Self::from_bytes(&text)
    }

    /// A key as it was kept.
    pub(crate) fn from_bytes(text: &[u8]) -> Result<Self, InvalidKey> {
        if text.is_empty() || text.len() > LONGEST {
            return Err(InvalidKey::Length);
        }
        if !text.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(InvalidKey::Characters);
        }
        let text = std::str::from_utf8(text).expect("ASCII is UTF-8");
        Ok(Self(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What stands between the quotes (RFC 8941, 4.2.5).
fn unquoted(quoted: &[u8]) -> Result<Vec<u8>, InvalidKey> {
    let mut text = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter();
    loop {
        match bytes.next() {
            Some(b'\\') => match bytes.next() {
                Some(escaped @ (b'"' | b'\\')) => text.push(*escaped),
                _ => return Err(InvalidKey::Quotes),
            },
            Some(b'"') if bytes.as_slice().is_empty() => return Ok(text),
            Some(b'"') | None => return Err(InvalidKey::Quotes),
            Some(byte) => text.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_with_and_without_quotes() {
        let longest = "k".repeat(LONGEST);
        let quoted = format!("\"{longest}\"");
        for (header, expected) in [
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", Ok("8e03978e-40d5-43dd-bc93-6894a57f9324")),
            (r#""a b""#, Ok("a b")),
            (r#""a\"b\\""#, Ok(r#"a"b\"#)),
            (r#"a"b"#, Ok(r#"a"b"#)),
            (&longest, Ok(longest.as_str())),
            (&quoted, Ok(longest.as_str())),
            ("", Err(InvalidKey::Length)),
            (r#""""#, Err(InvalidKey::Length)),
            (&format!("{longest}k"), Err(InvalidKey::Length)),
            ("schlüssel", Err(InvalidKey::Characters)),
            ("a\tb", Err(InvalidKey::Characters)),
            (r#""a"#, Err(InvalidKey::Quotes)),
            (r#""a"b"#, Err(InvalidKey::Quotes)),
            (r#""a\n""#, Err(InvalidKey::Quotes)),
        ] {
            let key = IdempotencyKey::from_header(header.as_bytes());
            assert_eq!(
                key.as_ref().map(IdempotencyKey::as_str),
                expected.as_ref().copied(),
                "{header}"
            );
        }
    }
}
