//! The body of requests that register a schema, look it up or check its compatibility.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::RegistryError;

/// The only supported schema type.
pub(crate) const AVRO: &str = "AVRO";

/// A schema, as a client sends it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Submission {
    pub(crate) schema: Option<String>,
    schema_type: Option<String>,
    references: Option<Vec<Reference>>,
    id: Option<i32>,
    version: Option<i32>,
    metadata: Option<Value>,
    rule_set: Option<Value>,
}

/// A version of a subject that defines names which a schema uses.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Reference {
    /// The name that is referred to: for Avro the full name of a type.
    pub(crate) name: String,
    pub(crate) subject: String,
    /// -1 stands for the latest version. A stored reference has the actual number.
    pub(crate) version: i32,
}

impl Submission {
    /// A schema in Avro without references.
    #[cfg(test)]
    pub(crate) fn of(schema: impl Into<String>) -> Self {
        Self { schema: Some(schema.into()), ..Self::default() }
    }

    /// Refuses unsupported parts instead of ignoring them.
    pub(crate) fn supported(&self) -> Result<(), RegistryError> {
        if let Some(other) = self.schema_type.as_deref().filter(|kind| *kind != AVRO) {
            let why = format!("Invalid schema type {other}: this registry keeps AVRO only");
            return Err(RegistryError::InvalidSchema(why));
        }
        for (name, part) in [("metadata", &self.metadata), ("ruleSet", &self.rule_set)] {
            if part.as_ref().is_some_and(|part| !part.is_null()) {
                let why = format!("Invalid schema: this registry does not keep {name}");
                return Err(RegistryError::InvalidSchema(why));
            }
        }
        Ok(())
    }

    /// The schema's text, unless it is blank.
    pub(crate) fn text(&self) -> Option<&str> {
        self.schema.as_deref().filter(|text| !text.trim().is_empty())
    }

    pub(crate) fn references(&self) -> &[Reference] {
        self.references.as_deref().unwrap_or_default()
    }

    /// The id that the client asks for. Negative numbers stand for none.
    pub(crate) fn id(&self) -> Option<i32> {
        self.id.filter(|id| *id >= 0)
    }

    /// The version that the client asks for. 0 and negative numbers stand for the next one.
    pub(crate) fn version(&self) -> Option<u32> {
        self.version.and_then(|version| u32::try_from(version).ok()).filter(|version| *version > 0)
    }
}
