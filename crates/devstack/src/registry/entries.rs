//! The stored entries of the catalog, and the state that they describe.
//!
//! | key | value |
//! |---|---|
//! | `next_id` | the id of the next new schema |
//! | `schema/<id>` | [`StoredSchema`] |
//! | `version/<number>/<subject>` | [`StoredVersion`] |
//! | `level`, `level/<subject>` | a compatibility level |
//! | `mode`, `mode/<subject>` | a mode |
//!
//! A subject may have any characters in its name, so it comes last.

use std::collections::{BTreeMap, HashMap};

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Serialize};

use super::level::Level;
use super::mode::Mode;
use super::submission::Reference;
use crate::storage::{Change, StorageError, Table};

/// A schema, to which versions of subjects refer by its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct StoredSchema {
    /// The canonical text.
    pub(crate) schema: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) references: Vec<Reference>,
}

/// A version of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredVersion {
    /// The id of its schema.
    pub(crate) id: i32,
    /// Soft-deleted: it keeps its number and can still be read on request.
    pub(crate) deleted: bool,
}

/// The state. Each method that changes it adds the changes to its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CatalogState {
    next_id: i32,
    schemas: BTreeMap<i32, StoredSchema>,
    ids: HashMap<StoredSchema, i32>,
    subjects: BTreeMap<String, BTreeMap<u32, StoredVersion>>,
    level: Option<Level>,
    levels: BTreeMap<String, Level>,
    mode: Option<Mode>,
    modes: BTreeMap<String, Mode>,
}

impl CatalogState {
    pub(crate) fn load(entries: Vec<(String, String)>) -> Result<Self, StorageError> {
        let mut state = Self {
            next_id: 1,
            schemas: BTreeMap::new(),
            ids: HashMap::new(),
            subjects: BTreeMap::new(),
            level: None,
            levels: BTreeMap::new(),
            mode: None,
            modes: BTreeMap::new(),
        };
        for (key, json) in entries {
            let table = Table::Registry;
            state.add(&key, &json).map_err(|source| StorageError::Entry { table, key, source })?;
        }
        Ok(state)
    }

    fn add(&mut self, key: &str, json: &str) -> Result<(), serde_json::Error> {
        let unknown = || serde_json::Error::custom("a key that the registry does not write");
        match key.split_once('/') {
            None if key == "next_id" => self.next_id = read(json)?,
            None if key == "level" => self.level = Some(read(json)?),
            None if key == "mode" => self.mode = Some(read(json)?),
            Some(("level", subject)) => {
                self.levels.insert(subject.to_owned(), read(json)?);
            }
            Some(("mode", subject)) => {
                self.modes.insert(subject.to_owned(), read(json)?);
            }
            Some(("schema", id)) => {
                let (id, schema) =
                    (id.parse().map_err(|_| unknown())?, read::<StoredSchema>(json)?);
                self.ids.insert(schema.clone(), id);
                self.schemas.insert(id, schema);
            }
            Some(("version", rest)) => {
                let (number, subject) = rest.split_once('/').ok_or_else(unknown)?;
                let number = number.parse().map_err(|_| unknown())?;
                let versions = self.subjects.entry(subject.to_owned()).or_default();
                versions.insert(number, read(json)?);
            }
            _ => return Err(unknown()),
        }
        Ok(())
    }

    pub(crate) fn schema(&self, id: i32) -> Option<&StoredSchema> {
        self.schemas.get(&id)
    }

    pub(crate) fn schemas(&self) -> impl Iterator<Item = (i32, &StoredSchema)> {
        self.schemas.iter().map(|(id, schema)| (*id, schema))
    }

    pub(crate) fn id_of(&self, schema: &StoredSchema) -> Option<i32> {
        self.ids.get(schema).copied()
    }

    /// The subjects with their versions, deleted ones included, in the order of their names.
    pub(crate) fn subjects(&self) -> &BTreeMap<String, BTreeMap<u32, StoredVersion>> {
        &self.subjects
    }

    /// The level that was set for a subject or, for `None`, globally.
    pub(crate) fn level(&self, subject: Option<&str>) -> Option<Level> {
        match subject {
            None => self.level,
            Some(subject) => self.levels.get(subject).copied(),
        }
    }

    /// The mode that was set for a subject or, for `None`, globally.
    pub(crate) fn mode(&self, subject: Option<&str>) -> Option<Mode> {
        match subject {
            None => self.mode,
            Some(subject) => self.modes.get(subject).copied(),
        }
    }

    /// Adds a schema with a new id.
    pub(crate) fn add_schema(&mut self, schema: StoredSchema, changes: &mut Vec<Change>) -> i32 {
        let id = self.next_id;
        self.next_id += 1;
        changes.push(Change::put(Table::Registry, "next_id", &self.next_id));
        changes.push(Change::put(Table::Registry, format!("schema/{id}"), &schema));
        self.ids.insert(schema.clone(), id);
        self.schemas.insert(id, schema);
        id
    }

    /// Adds a version or changes it.
    pub(crate) fn put_version(
        &mut self,
        subject: &str,
        number: u32,
        version: StoredVersion,
        changes: &mut Vec<Change>,
    ) {
        changes.push(Change::put(Table::Registry, version_key(subject, number), &version));
        self.subjects.entry(subject.to_owned()).or_default().insert(number, version);
    }

    /// Removes a version permanently. If no other version has its schema, that is removed, too. With its last version,
    /// the subject, its level and its mode are removed.
    pub(crate) fn remove_version(&mut self, subject: &str, number: u32, changes: &mut Vec<Change>) {
        let Some(versions) = self.subjects.get_mut(subject) else { return };
        let Some(StoredVersion { id, .. }) = versions.remove(&number) else { return };
        changes.push(Change::delete(Table::Registry, version_key(subject, number)));
        if versions.is_empty() {
            self.subjects.remove(subject);
            self.set_level(Some(subject), None, changes);
            self.set_mode(Some(subject), None, changes);
        }
        let used = self.subjects.values().flat_map(BTreeMap::values).any(|other| other.id == id);
        if !used && let Some(schema) = self.schemas.remove(&id) {
            self.ids.remove(&schema);
            changes.push(Change::delete(Table::Registry, format!("schema/{id}")));
        }
    }

    /// Sets the level of a subject or the global one, or removes it.
    pub(crate) fn set_level(
        &mut self,
        subject: Option<&str>,
        level: Option<Level>,
        changes: &mut Vec<Change>,
    ) {
        changes.extend(set("level", subject, level, &mut self.level, &mut self.levels));
    }

    /// Sets the mode of a subject or the global one, or removes it.
    pub(crate) fn set_mode(
        &mut self,
        subject: Option<&str>,
        mode: Option<Mode>,
        changes: &mut Vec<Change>,
    ) {
        changes.extend(set("mode", subject, mode, &mut self.mode, &mut self.modes));
    }
}

fn read<T: DeserializeOwned>(json: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(json)
}

fn version_key(subject: &str, number: u32) -> String {
    format!("version/{number}/{subject}")
}

/// Sets a global setting or that of a subject, or removes it. Returns the change of its entry, if there is one.
fn set<T: Copy + Serialize>(
    setting: &str,
    subject: Option<&str>,
    value: Option<T>,
    global: &mut Option<T>,
    subjects: &mut BTreeMap<String, T>,
) -> Option<Change> {
    let before = match (subject, value) {
        (None, value) => std::mem::replace(global, value),
        (Some(subject), Some(value)) => subjects.insert(subject.to_owned(), value),
        (Some(subject), None) => subjects.remove(subject),
    };
    let key = match subject {
        None => setting.to_owned(),
        Some(subject) => format!("{setting}/{subject}"),
    };
    match value {
        Some(value) => Some(Change::put(Table::Registry, key, &value)),
        None => before.map(|_| Change::delete(Table::Registry, key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modes_of_a_file_are_read() {
        let entries = [("mode", r#""READONLY""#), ("mode/a/b", r#""READWRITE""#)];
        let entries = entries.map(|(key, json)| (key.to_owned(), json.to_owned()));
        let state = CatalogState::load(entries.into()).expect("both are entries of the registry");
        let modes = [None, Some("a/b"), Some("c")].map(|subject| state.mode(subject));
        assert_eq!(modes, [Some(Mode::ReadOnly), Some(Mode::ReadWrite), None]);
    }

    #[test]
    fn entries_of_someone_else_are_an_error_that_names_them() {
        for (key, json) in [
            ("schema/x", r#"{"schema":"\"int\""}"#),
            ("schema/1", "{}"),
            ("version/1", r#"{"id":1,"deleted":false}"#),
            ("level", r#""SOMETIMES""#),
            ("mode", r#""SOMETIMES""#),
            ("other", "1"),
            ("other/1", "1"),
        ] {
            let error = CatalogState::load(vec![(key.to_owned(), json.to_owned())]).expect_err(key);
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}
