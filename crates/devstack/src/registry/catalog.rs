//! The registry's state, without I/O: subjects, their versions, and schemas by id.
//!
//! Its changes are collected for the journal: see [`Catalog::take_changes`]. The rules are those of
//! Confluent's `KafkaSchemaRegistry`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::canonical::{self, Form};
use super::compatibility::{self, Earlier};
use super::entries::{CatalogState, StoredSchema, StoredVersion};
use super::error::RegistryError;
use super::schema::AvroSchema;
use super::subject::check_name;
use super::submission::{AVRO, Reference, Submission};
use super::version_id::VersionId;
use crate::storage::{Change, StorageError};

/// The largest depth of references to schemas that have references themselves.
const MAX_REFERENCE_DEPTH: usize = 100;

/// Whether soft-deleted versions are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deleted {
    Hidden,
    Included,
}

impl Deleted {
    fn shows(self, version: StoredVersion) -> bool {
        match self {
            Self::Hidden => !version.deleted,
            Self::Included => true,
        }
    }
}

/// A version of a subject with its schema, as the API returns it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubjectSchema {
    pub(crate) subject: String,
    pub(crate) version: u32,
    pub(crate) id: i32,
    schema_type: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    references: Vec<Reference>,
    pub(crate) schema: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
}

/// A version of a subject without its schema, as the API returns it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SubjectVersion {
    pub(crate) subject: String,
    pub(crate) version: u32,
}

/// The state of the registry.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(super) state: CatalogState,
    pub(super) changes: Vec<Change>,
}

impl Catalog {
    /// Loads the entries of the table [`Registry`](crate::storage::Table::Registry).
    pub(crate) fn load(entries: Vec<(String, String)>) -> Result<Self, StorageError> {
        Ok(Self { state: CatalogState::load(entries)?, changes: Vec::new() })
    }

    /// Takes the changes since the last call.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// The sorted names of the subjects that begin with `prefix` and have versions to show.
    pub(crate) fn subjects(&self, prefix: &str, deleted: Deleted) -> Vec<String> {
        let subjects = self.state.subjects().iter().filter(|(subject, versions)| {
            subject.starts_with(prefix) && versions.values().any(|version| deleted.shows(*version))
        });
        subjects.map(|(subject, _)| subject.clone()).collect()
    }

    /// The version numbers of a subject.
    pub(crate) fn versions(
        &self,
        subject: &str,
        deleted: Deleted,
    ) -> Result<Vec<u32>, RegistryError> {
        let shown =
            self.versions_of(subject).iter().filter(|(_, version)| deleted.shows(**version));
        let numbers: Vec<u32> = shown.map(|(number, _)| *number).collect();
        if numbers.is_empty() {
            return Err(RegistryError::SubjectNotFound(subject.to_owned()));
        }
        Ok(numbers)
    }

    /// A version of a subject. `Latest` is never a deleted version.
    pub(crate) fn version(
        &self,
        subject: &str,
        version: VersionId,
        deleted: Deleted,
    ) -> Result<SubjectSchema, RegistryError> {
        match self.find(subject, version) {
            Some((number, found)) if deleted.shows(found) => {
                Ok(self.answer(subject, number, found))
            }
            _ => {
                self.versions(subject, deleted)?;
                Err(RegistryError::VersionNotFound(version))
            }
        }
    }

    /// The schema with this id. It exists as long as any version has it, even a soft-deleted one.
    pub(crate) fn schema(&self, id: i32) -> Result<&StoredSchema, RegistryError> {
        self.state.schema(id).ok_or(RegistryError::IdNotFound(id))
    }

    /// The versions that have the schema with this id.
    pub(crate) fn versions_with(
        &self,
        id: i32,
        deleted: Deleted,
    ) -> Result<Vec<SubjectVersion>, RegistryError> {
        self.state.schema(id).ok_or(RegistryError::SchemaNotFound)?;
        let all = self.state.subjects().iter().flat_map(|(subject, versions)| {
            versions.iter().map(move |(number, version)| (subject, *number, *version))
        });
        let shown = all.filter(|(_, _, version)| version.id == id && deleted.shows(*version));
        let answer = |(subject, version, _): (&String, _, _)| SubjectVersion {
            subject: subject.clone(),
            version,
        };
        Ok(shown.map(answer).collect())
    }

    /// The ids of the schemas that refer to a version and have versions to show.
    pub(crate) fn referenced_by(&self, subject: &str, number: u32, deleted: Deleted) -> Vec<i32> {
        let refers = |reference: &Reference| {
            reference.subject == subject && u32::try_from(reference.version) == Ok(number)
        };
        let schemas = self.state.schemas();
        let schemas = schemas.filter(|(_, schema)| schema.references.iter().any(refers));
        let in_use =
            |id: &i32| self.versions_with(*id, deleted).is_ok_and(|versions| !versions.is_empty());
        schemas.map(|(id, _)| id).filter(in_use).collect()
    }

    /// Registers a schema as the next version of a subject, unless the subject has it already, and returns its id. A
    /// schema has the same id in all subjects. The mode forbids only new versions: clients that register at each start
    /// go on with a read-only registry that has their schemas.
    pub(crate) fn register(
        &mut self,
        subject: &str,
        submission: &Submission,
        form: Form,
    ) -> Result<i32, RegistryError> {
        check_name(subject)?;
        submission.supported()?;
        if submission.id().is_some() {
            return Err(RegistryError::NotImporting(subject.to_owned()));
        }
        if submission.text().is_none() {
            // Without a schema, the latest version is returned.
            let latest = self.find(subject, VersionId::Latest);
            return latest.map(|(_, version)| version.id).ok_or_else(empty);
        }
        let (parsed, stored) = self.parse(submission, form)?;
        let known = self.state.id_of(&stored);
        let versions = self.versions_of(subject);
        if submission.version().is_none()
            && let Some((_, version)) = self.find_equal(subject, &stored, Deleted::Hidden)
        {
            return Ok(version.id);
        }
        self.check_writable(Some(subject))?;
        let details = self.check(subject, &parsed, self.live(subject))?;
        if !details.is_empty() {
            return Err(RegistryError::Incompatible { subject: subject.to_owned(), details });
        }
        let next = versions.last_key_value().map_or(1, |(number, _)| number + 1);
        if submission.version().is_some_and(|version| version != next) {
            let why = "Version is not one more than previous version".to_owned();
            return Err(RegistryError::InvalidSchema(why));
        }

        let deleted = versions.iter().filter(|(_, version)| version.deleted);
        let replaced = deleted.filter(|(number, version)| {
            Some(version.id) == known
                && self.referenced_by(subject, **number, Deleted::Included).is_empty()
        });
        let replaced: Vec<_> = replaced.map(|(number, _)| *number).collect();
        let id = known.unwrap_or_else(|| self.state.add_schema(stored, &mut self.changes));
        let version = StoredVersion { id, deleted: false };
        self.state.put_version(subject, next, version, &mut self.changes);
        for number in replaced {
            self.state.remove_version(subject, number, &mut self.changes);
        }
        Ok(id)
    }

    /// The version of a subject with this schema.
    pub(crate) fn look_up(
        &self,
        subject: &str,
        submission: &Submission,
        form: Form,
        deleted: Deleted,
    ) -> Result<SubjectSchema, RegistryError> {
        submission.supported()?;
        if submission.text().is_some() {
            let (_, stored) = self.parse(submission, form)?;
            if let Some((number, version)) = self.find_equal(subject, &stored, deleted) {
                return Ok(self.answer(subject, number, version));
            }
        }
        self.versions(subject, deleted)?;
        Err(RegistryError::SchemaNotFound)
    }

    /// Why a schema is incompatible with one version of the subject or, without one, with all that the level names.
    /// Empty if it is compatible.
    pub(crate) fn compatibility(
        &self,
        subject: &str,
        against: Option<VersionId>,
        submission: &Submission,
        form: Form,
    ) -> Result<Vec<String>, RegistryError> {
        let earlier: Vec<_> = match against {
            None => self.live(subject).collect(),
            Some(version) => match self.find(subject, version) {
                Some((number, found)) if !found.deleted => vec![(number, found)],
                // There is no version that it could be incompatible with.
                _ if version == VersionId::Latest => Vec::new(),
                _ => return Err(RegistryError::VersionNotFound(version)),
            },
        };
        submission.supported()?;
        if submission.text().is_none() {
            return Err(empty());
        }
        let (parsed, _) = self.parse(submission, form)?;
        self.check(subject, &parsed, earlier.into_iter())
    }

    /// All versions of a subject. Empty if there is no such subject.
    pub(super) fn versions_of(&self, subject: &str) -> &BTreeMap<u32, StoredVersion> {
        static NONE: BTreeMap<u32, StoredVersion> = BTreeMap::new();
        self.state.subjects().get(subject).unwrap_or(&NONE)
    }

    /// The versions of a subject that are not deleted, latest first.
    pub(super) fn live(&self, subject: &str) -> impl Iterator<Item = (u32, StoredVersion)> {
        let versions = self.versions_of(subject).iter().rev();
        versions
            .filter(|(_, version)| !version.deleted)
            .map(|(number, version)| (*number, *version))
    }

    /// A version, deleted or not.
    pub(super) fn find(&self, subject: &str, version: VersionId) -> Option<(u32, StoredVersion)> {
        match version {
            VersionId::Latest => self.live(subject).next(),
            VersionId::Number(number) => {
                self.versions_of(subject).get(&number).map(|version| (number, *version))
            }
        }
    }

    /// The latest version with this schema or, if there is none, with one that is equal after normalization. Otherwise
    /// a client that normalizes and one that doesn't would register new versions in turns.
    fn find_equal(
        &self,
        subject: &str,
        schema: &StoredSchema,
        deleted: Deleted,
    ) -> Option<(u32, StoredVersion)> {
        let shown = || {
            let versions = self.versions_of(subject).iter().rev();
            versions.filter(|(_, version)| deleted.shows(**version))
        };
        let same = self.state.id_of(schema);
        let found = shown().find(|(_, version)| Some(version.id) == same).or_else(|| {
            let normalized = self.normalized(schema)?;
            shown().find(|(_, version)| {
                let other = self.stored(version.id);
                other.references == schema.references
                    && self.normalized(other).as_ref() == Some(&normalized)
            })
        });
        found.map(|(number, version)| (*number, *version))
    }

    fn normalized(&self, StoredSchema { schema, references }: &StoredSchema) -> Option<String> {
        let texts = self.resolve(references, Deleted::Included).ok()?;
        canonical::last(Form::Normalized, texts.into_iter().chain([schema.as_str()])).ok()
    }

    fn stored(&self, id: i32) -> &StoredSchema {
        self.state.schema(id).expect("a schema is kept as long as a version has it")
    }

    fn answer(&self, subject: &str, number: u32, version: StoredVersion) -> SubjectSchema {
        let StoredVersion { id, deleted } = version;
        let StoredSchema { schema, references } = self.stored(id).clone();
        let subject = subject.to_owned();
        SubjectSchema {
            subject,
            version: number,
            id,
            schema_type: AVRO,
            references,
            schema,
            deleted,
        }
    }

    fn check(
        &self,
        subject: &str,
        new: &AvroSchema,
        earlier: impl Iterator<Item = (u32, StoredVersion)>,
    ) -> Result<Vec<String>, RegistryError> {
        let earlier = earlier.map(|(version, StoredVersion { id, .. })| {
            let StoredSchema { schema, references } = self.stored(id);
            let texts = self.resolve(references, Deleted::Included)?;
            let schema = AvroSchema::parse(schema, &texts, Form::Plain).map_err(invalid)?;
            Ok(Earlier { version, schema })
        });
        compatibility::check(self.level_in_effect(Some(subject)), new, earlier)
    }

    /// Parses a submission: the schema, and its stored form.
    fn parse(
        &self,
        submission: &Submission,
        form: Form,
    ) -> Result<(AvroSchema, StoredSchema), RegistryError> {
        let mut references = submission.references().to_vec();
        for reference in &mut references {
            if reference.version == -1
                && let Some((latest, _)) = self.find(&reference.subject, VersionId::Latest)
            {
                reference.version = latest as i32;
            }
        }
        let texts = self.resolve(&references, Deleted::Hidden)?;
        let text = submission.text().unwrap_or_default();
        let parsed = AvroSchema::parse(text, &texts, form).map_err(invalid)?;
        if form == Form::Normalized {
            references.sort_by(|one, other| {
                (&one.name, &one.subject, one.version).cmp(&(
                    &other.name,
                    &other.subject,
                    other.version,
                ))
            });
            references.dedup();
        }
        let stored = StoredSchema { schema: parsed.text().to_owned(), references };
        Ok((parsed, stored))
    }

    /// The texts of all schemas that are referred to, directly or indirectly. Each comes after those that it needs.
    fn resolve(
        &self,
        references: &[Reference],
        deleted: Deleted,
    ) -> Result<Vec<&str>, RegistryError> {
        let mut texts = Vec::new();
        self.resolve_into(references, deleted, 0, &mut texts)?;
        Ok(texts.into_iter().map(|(_, text)| text).collect())
    }

    /// As in Confluent's `AbstractSchemaProvider`, the first schema of a name counts.
    fn resolve_into<'a>(
        &'a self,
        references: &[Reference],
        deleted: Deleted,
        depth: usize,
        texts: &mut Vec<(String, &'a str)>,
    ) -> Result<(), RegistryError> {
        if depth == MAX_REFERENCE_DEPTH {
            let why = format!("references go more than {MAX_REFERENCE_DEPTH} schemas deep");
            return Err(invalid(why));
        }
        for Reference { name, subject, version } in references {
            if texts.iter().any(|(known, _)| known == name) {
                continue;
            }
            let found = u32::try_from(*version)
                .ok()
                .and_then(|number| self.versions_of(subject).get(&number))
                .filter(|version| deleted.shows(**version));
            let Some(StoredVersion { id, .. }) = found else {
                return Err(invalid(format!(
                    "No schema reference found for subject \"{subject}\" and version {version}"
                )));
            };
            let StoredSchema { schema, references } = self.stored(*id);
            self.resolve_into(references, deleted, depth + 1, texts)?;
            texts.push((name.clone(), schema));
        }
        Ok(())
    }
}

fn empty() -> RegistryError {
    RegistryError::InvalidSchema("Empty schema".to_owned())
}

fn invalid(why: impl std::fmt::Display) -> RegistryError {
    RegistryError::InvalidSchema(format!("Invalid schema of type {AVRO}, details: {why}"))
}

#[cfg(test)]
mod tests;
