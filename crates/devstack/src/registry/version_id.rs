//! Versions in the paths of requests.

use std::fmt;
use std::str::FromStr;

/// A version of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VersionId {
    /// The last one that is not deleted: `latest` or -1.
    Latest,
    /// From 1 to 2^31 - 1.
    Number(u32),
}

/// A text that names no version. The words are those of Confluent's registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "The specified version '{0}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
)]
pub(crate) struct InvalidVersionId(String);

impl FromStr for VersionId {
    type Err = InvalidVersionId;

    fn from_str(text: &str) -> Result<Self, InvalidVersionId> {
        let trimmed = text.trim();
        if trimmed.eq_ignore_ascii_case("latest") {
            return Ok(Self::Latest);
        }
        match trimmed.parse::<i32>() {
            Ok(-1) => Ok(Self::Latest),
            Ok(number @ 1..) => Ok(Self::Number(number as u32)),
            _ => Err(InvalidVersionId(text.to_owned())),
        }
    }
}

/// The form in messages, where `latest` is -1.
impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("-1"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_from_1_on_or_latest() {
        use VersionId::{Latest, Number};
        for (text, expected) in [
            ("1", Number(1)),
            (" 2147483647 ", Number(2_147_483_647)),
            ("latest", Latest),
            ("Latest", Latest),
            ("-1", Latest),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text:?}");
        }
        for text in ["0", "-2", "2147483648", "one", "", "1.0"] {
            let invalid = InvalidVersionId(text.to_owned());
            assert_eq!(text.parse::<VersionId>(), Err(invalid), "{text:?}");
        }
    }
}
