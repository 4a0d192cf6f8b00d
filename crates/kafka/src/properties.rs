//! librdkafka's own properties, passed through from the configuration.

use std::collections::BTreeMap;
use std::fmt;

use models::secret::MASK;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Raw librdkafka properties by name, e.g. `"socket.timeout.ms" = 30000`. They override all that the
/// configuration would set by itself. Values of properties that hold a secret are shown masked.
///
/// Numbers and booleans may be written as such, and dotted names may be nested tables, as an unquoted
/// `socket.timeout.ms = 30000` is in TOML.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

/// Parts of names whose values must not be shown, e.g. `ssl.key.password`, `sasl.oauthbearer.client.secret`.
const SECRET_NAME_PARTS: [&str; 5] =
    ["password", "secret", "key.pem", "oauthbearer.config", "credentials"];

impl Properties {
    /// Names and values, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of `name`, if it is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().map(|(name, value)| {
            let secret = SECRET_NAME_PARTS.iter().any(|part| name.contains(part));
            (name, if secret { MASK } else { value })
        })
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.shown()).finish()
    }
}

impl Serialize for Properties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.shown())
    }
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut flat = BTreeMap::new();
        for (name, value) in BTreeMap::<String, Value>::deserialize(deserializer)? {
            value.flatten_into(name, &mut flat);
        }
        Ok(Self(flat))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Table(BTreeMap<String, Value>),
}

impl Value {
    fn flatten_into(self, name: String, flat: &mut BTreeMap<String, String>) {
        let text = match self {
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Text(value) => value,
            Self::Table(inner) => {
                for (key, value) in inner {
                    value.flatten_into(format!("{name}.{key}"), flat);
                }
                return;
            }
        };
        flat.insert(name, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_tables_and_plain_values_become_dotted_names_and_text() {
        let json =
            r#"{"socket":{"timeout":{"ms":30000}},"log.connection.close":false,"debug":"broker"}"#;
        let properties: Properties = serde_json::from_str(json).expect("valid properties");
        let expected = [
            ("debug", "broker"),
            ("log.connection.close", "false"),
            ("socket.timeout.ms", "30000"),
        ];
        assert_eq!(properties, Properties::from_iter(expected));
    }

    #[test]
    fn secrets_are_shown_masked_only() {
        let properties = Properties::from_iter([
            ("ssl.key.password", "hunter2"),
            ("sasl.oauthbearer.client.secret", "hunter2"),
            ("client.rack", "a"),
        ]);
        let shown = format!("{properties:?} {}", serde_json::json!(properties));
        assert!(!shown.contains("hunter2") && shown.contains("client.rack"), "{shown}");
        assert_eq!(properties.get("ssl.key.password"), Some("hunter2"));
    }
}
