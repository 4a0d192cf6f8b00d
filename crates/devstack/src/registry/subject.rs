//! The names that subjects may have.

use super::error::RegistryError;

/// Refuses names that Confluent's registry refuses (its `QualifiedSubject`).
pub(super) fn check_name(subject: &str) -> Result<(), RegistryError> {
    if matches!(subject, "" | "__GLOBAL" | "__EMPTY") || subject.contains(char::is_control) {
        return Err(RegistryError::InvalidSubject(subject.to_owned()));
    }
    Ok(())
}
