//! Which keys there are: those of the serialised defaults.

use serde::Serialize;
use serde_json::Value as Json;

use super::{ConfigError, SECTIONS};

/// All keys of one service's settings, as a tree of their defaults.
#[derive(Debug)]
pub(super) struct KnownKeys(Json);

/// What a dotted key is to a service.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// Its own: the path down the tree.
    Known(Vec<String>),
    /// In a section that only other services read.
    Foreign,
    /// Nobody's.
    Unknown,
}

impl KnownKeys {
    pub(super) fn of(defaults: &impl Serialize) -> Result<Self, ConfigError> {
        serde_json::to_value(defaults).map(Self).map_err(ConfigError::Defaults)
    }

    /// The defaults themselves.
    pub(super) fn defaults(&self) -> &Json {
        &self.0
    }

    /// Finds `key`, whose parts are separated by `separator`. Below an open map the rest is one part, separators
    /// and all, because librdkafka's property names have dots.
    pub(super) fn look_up(&self, key: &str, separator: &str) -> Lookup {
        let mut path = Vec::new();
        let mut node = &self.0;
        let mut rest = key;
        loop {
            let Json::Object(children) = node else { return Lookup::Unknown };
            if children.is_empty() && !path.is_empty() {
                path.push(rest.to_owned());
                return Lookup::Known(path);
            }
            let (part, tail) =
                rest.split_once(separator).map_or((rest, None), |(p, t)| (p, Some(t)));
            let Some(child) = children.get(part) else {
                let foreign = path.is_empty() && SECTIONS.contains(&part);
                return if foreign { Lookup::Foreign } else { Lookup::Unknown };
            };
            path.push(part.to_owned());
            match tail {
                None => return Lookup::Known(path),
                Some(tail) => (node, rest) = (child, tail),
            }
        }
    }

    /// `key` with its first wrong part replaced by the sibling that looks most like it, if one looks much like it.
    fn closest(&self, key: &str) -> Option<String> {
        let mut known = Vec::new();
        let mut node = &self.0;
        for part in key.split('.') {
            let Json::Object(children) = node else { return None };
            if let Some(child) = children.get(part) {
                known.push(part);
                node = child;
            } else {
                let likeness = |name: &String| strsim::jaro_winkler(name, part);
                let best = children.keys().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
                known.push(best);
                return (likeness(best) > 0.8).then(|| known.join("."));
            }
        }
        None
    }

    pub(super) fn unknown(&self, key: &str, origin: &str) -> ConfigError {
        ConfigError::UnknownKey {
            key: key.to_owned(),
            origin: origin.to_owned(),
            suggestion: self.closest(key),
        }
    }
}
