//! One layer of the configuration, as a source for the crate `config`.

use std::path::Path;

use config::{File, FileFormat, Map, Source, Value, ValueKind};
use serde_json::Value as Json;

use super::course_names::{Meaning, meaning};
use super::keys::{KnownKeys, Lookup};
use super::{ConfigError, Override, files};
use crate::CommonArgs;

/// The prefix of environment variables that name a key: `TRIPSTREAM__KAFKA__BOOTSTRAP_SERVERS`.
const PREFIX: &str = "tripstream__";

/// A tree of values, each of which knows where it came from. All its keys are known to the service.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

impl Layer {
    pub(super) fn from_json(tree: &Json, origin: &str) -> Self {
        match kind(tree, origin) {
            ValueKind::Table(table) => Self(table),
            _ => Self::default(),
        }
    }

    pub(super) fn from_toml(path: &Path, known: &KnownKeys) -> Result<Self, ConfigError> {
        let origin = path.display().to_string();
        let tree = File::from_str(&files::read(path)?, FileFormat::Toml)
            .collect()
            .map_err(|err| ConfigError::Parse { path: path.to_owned(), reason: err.to_string() })?;
        let mut leaves = Vec::new();
        flatten(&tree, "", &mut leaves);
        let mut layer = Self::default();
        for (key, value) in leaves {
            layer.put(&key, ".", Value::new(Some(&origin), value.kind), &origin, known)?;
        }
        Ok(layer)
    }

    /// From NAME=VALUE pairs, those whose names are other programs' with a plain meaning. A name of the course or one of
    /// ours counts above all of them, wherever it stands.
    pub(super) fn from_aliases<'v>(
        variables: impl Iterator<Item = (&'v str, &'v str)>,
        place: &str,
        known: &KnownKeys,
    ) -> Self {
        let mut layer = Self::default();
        for (name, value) in variables.filter(|(_, value)| !value.is_empty()) {
            if let Meaning::Alias(key) = meaning(name) {
                layer.insert_known(key, text(value, &format!("{name} in {place}")), known);
            }
        }
        layer
    }

    /// From NAME=VALUE pairs: names with our prefix are checked; of the others the course's count. What looks like a
    /// mistake is told in `warnings`.
    pub(super) fn from_variables<'v>(
        variables: impl Iterator<Item = (&'v str, &'v str)> + Clone,
        place: &str,
        known: &KnownKeys,
        warnings: &mut Vec<String>,
    ) -> Result<Self, ConfigError> {
        let mut layer = Self::default();
        // Before the precise form, which counts more.
        for (name, value) in variables.clone().filter(|(_, value)| !value.is_empty()) {
            match meaning(name) {
                Meaning::Course(key) => {
                    layer.insert_known(key, text(value, &format!("{name} in {place}")), known);
                }
                Meaning::NearMiss(right) => {
                    warnings.push(format!("{name} in {place} is not read; is {right} meant?"));
                }
                Meaning::Alias(_) | Meaning::Foreign => {}
            }
        }
        for (name, value) in variables {
            let lower = name.to_lowercase();
            if let Some(key) = lower.strip_prefix(PREFIX) {
                let origin = format!("{name} in {place}");
                layer.put(key, "__", text(value, &origin), &origin, known)?;
            }
        }
        Ok(layer)
    }

    pub(super) fn from_flags(
        args: &CommonArgs,
        flags: &[Override],
        known: &KnownKeys,
    ) -> Result<Self, ConfigError> {
        let mut layer = Self::default();
        for assignment in &args.set {
            let (key, value) = assignment
                .split_once('=')
                .ok_or_else(|| ConfigError::NotAnAssignment(assignment.clone()))?;
            let origin = format!("--set {key}");
            match known.look_up(key, ".") {
                Lookup::Known(path) => layer.insert(&path, text(value, &origin)),
                Lookup::Foreign | Lookup::Unknown => return Err(known.unknown(key, "--set")),
            }
        }
        let format = args.log_format.map(|format| match format {
            crate::LogFormat::Auto => "auto",
            crate::LogFormat::Text => "text",
            crate::LogFormat::Json => "json",
        });
        let common = [("log.format", format), ("log.level", args.log_level.as_deref())];
        let common = common.into_iter().filter_map(|(key, value)| Some((key, value?)));
        for (key, value) in
            common.chain(flags.iter().map(|(key, value)| (key.as_ref(), value.as_str())))
        {
            layer.put(
                key,
                ".",
                text(value, "a command-line flag"),
                "a command-line flag",
                known,
            )?;
        }
        Ok(layer)
    }

    /// The file, variable or flag that sets `key` (dotted) in this layer.
    pub(super) fn origin_of(&self, key: &str) -> Option<String> {
        let mut parts = key.split('.');
        let first = self.0.get(parts.next()?)?;
        let value = parts.try_fold(first, |node, part| match &node.kind {
            ValueKind::Table(table) => table.get(part),
            _ => None,
        })?;
        value.origin().map(str::to_owned)
    }

    /// Puts `value` at the dotted `key` if this service has it.
    fn insert_known(&mut self, key: &str, value: Value, known: &KnownKeys) {
        if let Lookup::Known(path) = known.look_up(key, ".") {
            self.insert(&path, value);
        }
    }

    /// Puts `value` at `key` if the key is this service's own; leaves other services' keys to them.
    fn put(
        &mut self,
        key: &str,
        separator: &str,
        value: Value,
        origin: &str,
        known: &KnownKeys,
    ) -> Result<(), ConfigError> {
        match known.look_up(key, separator) {
            Lookup::Known(path) => self.insert(&path, value),
            Lookup::Foreign => {}
            Lookup::Unknown => return Err(known.unknown(&key.replace(separator, "."), origin)),
        }
        Ok(())
    }

    fn insert(&mut self, path: &[String], value: Value) {
        let Some((last, parents)) = path.split_last() else { return };
        let mut table = &mut self.0;
        for part in parents {
            let child = table
                .entry(part.clone())
                .or_insert_with(|| Value::new(None, ValueKind::Table(Map::new())));
            if !matches!(child.kind, ValueKind::Table(_)) {
                child.kind = ValueKind::Table(Map::new());
            }
            let ValueKind::Table(next) = &mut child.kind else { return };
            table = next;
        }
        table.insert(last.clone(), value);
    }
}

fn text(value: &str, origin: &str) -> Value {
    Value::new(Some(&origin.to_owned()), value)
}

fn kind(tree: &Json, origin: &str) -> ValueKind {
    let with_origin = |tree: &Json| Value::new(Some(&origin.to_owned()), kind(tree, origin));
    match tree {
        Json::Null => ValueKind::Nil,
        Json::Bool(flag) => ValueKind::Boolean(*flag),
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(whole), _) => ValueKind::U64(whole),
            (_, Some(whole)) => ValueKind::I64(whole),
            _ => ValueKind::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => ValueKind::String(text.clone()),
        Json::Array(items) => ValueKind::Array(items.iter().map(with_origin).collect()),
        Json::Object(children) => ValueKind::Table(
            children.iter().map(|(name, child)| (name.clone(), with_origin(child))).collect(),
        ),
    }
}

/// The leaves of a table with their dotted keys. An empty table is a leaf, so that a misspelt empty section is seen.
fn flatten(table: &Map<String, Value>, prefix: &str, into: &mut Vec<(String, Value)>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match &value.kind {
            ValueKind::Table(children) if !children.is_empty() => flatten(children, &key, into),
            ValueKind::Table(_) => into.push((key, Value::new(None, ValueKind::Table(Map::new())))),
            _ => into.push((key, value.clone())),
        }
    }
}
