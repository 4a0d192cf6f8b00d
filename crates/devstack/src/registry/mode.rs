//! Modes: whether schemas may be registered and deleted.

use serde::{Deserialize, Serialize};

/// Whether schemas may be registered and deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Mode {
    #[default]
    ReadWrite,
    /// New schemas, deletions and levels are refused. A schema that the subject has still gets its id.
    ReadOnly,
}

/// A name of no mode that can be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidMode {
    #[error("Invalid mode. Valid values are READWRITE and READONLY.")]
    Unknown,
    /// A mode of Confluent's registry that this one does not have.
    #[error("Mode {0} is not supported by this registry, only READWRITE and READONLY are")]
    Unsupported(String),
}

impl Mode {
    /// The mode with this name, ignoring case.
    pub(crate) fn of_name(name: &str) -> Result<Self, InvalidMode> {
        match name.to_ascii_uppercase().as_str() {
            "READWRITE" => Ok(Self::ReadWrite),
            "READONLY" => Ok(Self::ReadOnly),
            other @ ("IMPORT" | "FORWARD" | "READONLY_OVERRIDE") => {
                Err(InvalidMode::Unsupported(other.to_owned()))
            }
            _ => Err(InvalidMode::Unknown),
        }
    }
}
