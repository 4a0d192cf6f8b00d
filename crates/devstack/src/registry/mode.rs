//! Modes: whether the registry takes changes.

use serde::{Deserialize, Serialize};

use super::error::RegistryError;

/// Whether schemas may be registered and deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Mode {
    #[default]
    ReadWrite,
    ReadOnly,
}

impl Mode {
    pub(crate) fn of_name(name: &str) -> Result<Self, RegistryError> {
        match name.to_ascii_uppercase().as_str() {
            "READWRITE" => Ok(Self::ReadWrite),
            "READONLY" => Ok(Self::ReadOnly),
            other @ ("IMPORT" | "FORWARD" | "READONLY_OVERRIDE") => {
                Err(RegistryError::UnsupportedMode(other.to_owned()))
            }
            _ => Err(RegistryError::InvalidMode),
        }
    }
}
