//! The registry's errors: codes and texts are those of Confluent's registry (its class `Errors`), because clients
//! decide by the code and people search the web for the text.

use super::mode::InvalidMode;
use super::version_id::{InvalidVersionId, VersionId};

/// Why the registry does not do what it is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegistryError {
    #[error("HTTP 404 Not Found")]
    UnknownPath,
    #[error("HTTP 405 Method Not Allowed")]
    MethodNotAllowed,
    #[error("HTTP 408 Request Timeout")]
    BodyTooSlow,
    #[error("HTTP 413 Request Entity Too Large")]
    BodyTooLarge,
    /// The body could not be read, or is not the JSON that the path takes.
    #[error("{0}")]
    BadRequest(String),
    #[error("Subject '{0}' not found.")]
    SubjectNotFound(String),
    #[error("Version {0} not found.")]
    VersionNotFound(VersionId),
    #[error("Schema {0} not found")]
    IdNotFound(i32),
    /// Nothing has this id, or the subject has no such schema.
    #[error("Schema not found")]
    SchemaNotFound,
    #[error("Subject '{0}' was soft deleted.Set permanent=true to delete permanently")]
    SubjectSoftDeleted(String),
    #[error("Subject '{0}' was not deleted first before being permanently deleted")]
    SubjectNotSoftDeleted(String),
    #[error(
        "Subject '{subject}' Version {version} was soft deleted.Set permanent=true to delete permanently"
    )]
    VersionSoftDeleted { subject: String, version: VersionId },
    #[error(
        "Subject '{subject}' Version {version} was not deleted first before being permanently deleted"
    )]
    VersionNotSoftDeleted { subject: String, version: u32 },
    #[error("Subject '{0}' does not have subject-level compatibility configured")]
    LevelNotConfigured(String),
    #[error("Subject '{0}' does not have subject-level mode configured")]
    ModeNotConfigured(String),
    /// With what [`compatibility::check`](super::compatibility::check) says.
    #[error(
        "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: [{}]",
        details.join(", ")
    )]
    Incompatible { subject: String, details: Vec<String> },
    #[error("{0}")]
    InvalidSchema(String),
    #[error(transparent)]
    InvalidVersion(#[from] InvalidVersionId),
    #[error(
        "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"
    )]
    InvalidLevel,
    #[error("This registry keeps a compatibility level only: {0} is not supported")]
    UnsupportedSetting(String),
    #[error(transparent)]
    InvalidMode(#[from] InvalidMode),
    #[error("Subject {} in context  is in read-only mode", .0.as_deref().unwrap_or("null"))]
    ReadOnly(Option<String>),
    /// Only importing gives a schema an id of the client's choice.
    #[error("Subject {0} in context  is not in import mode")]
    NotImporting(String),
    #[error(
        "One or more references exist to the schema {{magic=1,keytype=SCHEMA,subject={subject},version={version}}}."
    )]
    Referenced { subject: String, version: u32 },
    #[error("The specified subject '{0}' is not a valid.")]
    InvalidSubject(String),
    #[error(
        "The registry could not store a change and has stopped answering; the log of the devstack says why"
    )]
    Store,
}

impl RegistryError {
    /// The registry's code: an HTTP status, or one with two digits behind it.
    pub(crate) fn code(&self) -> u32 {
        match self {
            Self::BadRequest(_) => 400,
            Self::UnknownPath => 404,
            Self::SubjectNotFound(_) => 40401,
            Self::VersionNotFound(_) => 40402,
            Self::IdNotFound(_) | Self::SchemaNotFound => 40403,
            Self::SubjectSoftDeleted(_) => 40404,
            Self::SubjectNotSoftDeleted(_) => 40405,
            Self::VersionSoftDeleted { .. } => 40406,
            Self::VersionNotSoftDeleted { .. } => 40407,
            Self::LevelNotConfigured(_) => 40408,
            Self::ModeNotConfigured(_) => 40409,
            Self::MethodNotAllowed => 405,
            Self::BodyTooSlow => 408,
            Self::Incompatible { .. } => 409,
            Self::BodyTooLarge => 413,
            Self::InvalidSchema(_) => 42201,
            Self::InvalidVersion(_) => 42202,
            Self::InvalidLevel | Self::UnsupportedSetting(_) => 42203,
            Self::InvalidMode(InvalidMode::Unknown) => 42204,
            Self::InvalidMode(InvalidMode::Unsupported(_))
            | Self::ReadOnly(_)
            | Self::NotImporting(_) => 42205,
            Self::Referenced { .. } => 42206,
            Self::InvalidSubject(_) => 42208,
            Self::Store => 50001,
        }
    }

    /// The HTTP status of the answer.
    pub(crate) fn status(&self) -> u16 {
        let code = self.code();
        (if code < 1000 { code } else { code / 100 }) as u16
    }
}
