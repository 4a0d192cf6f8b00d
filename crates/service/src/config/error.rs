//! What can be wrong with a configuration.

use std::path::PathBuf;

/// A configuration that can't be used. Each text says what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The directory that `--config-dir` names has no `default.toml`.
    #[error("no default.toml in {}: give --config-dir the directory that holds it", .0.display())]
    NoDefaultFile(PathBuf),

    /// A profile was asked for that has no file.
    #[error("no profile {profile:?}: {} does not exist{}", .path.display(), list(.available))]
    NoProfile {
        /// What `--profile` said.
        profile: String,
        /// The file that was looked for.
        path: PathBuf,
        /// The profiles that do exist beside it.
        available: Vec<String>,
    },

    /// A profile was asked for, but there is no configuration directory.
    #[error(
        "--profile {0:?} needs a configuration directory: give --config-dir, or start inside the project"
    )]
    ProfileWithoutDirectory(String),

    /// A file can't be read.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },

    /// A TOML file can't be parsed.
    #[error("{}: {reason}", .path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, column and what the parser says.
        reason: String,
    },

    /// A key that no setting has.
    #[error("unknown key {key:?} in {origin}{}", suggest(.suggestion.as_deref()))]
    UnknownKey {
        /// The key, dotted.
        key: String,
        /// The file, variable or flag it stands in.
        origin: String,
        /// The known key that looks most like it.
        suggestion: Option<String>,
    },

    /// A `--set` that is not `KEY=VALUE`.
    #[error(
        "--set takes KEY=VALUE, not {0:?}: for example --set kafka.bootstrap_servers=localhost:9092"
    )]
    NotAnAssignment(String),

    /// A value has the wrong type or form.
    #[error("{source}{}", .place.as_ref().map(|place| format!(" in {place}")).unwrap_or_default())]
    Value {
        /// Key, value and what was expected.
        source: Box<config::ConfigError>,
        /// Where the value stands, if `source` doesn't say.
        place: Option<String>,
    },

    /// A value is well-formed but can't be used.
    #[error("configuration key {key:?}: {reason}")]
    Invalid {
        /// The key, dotted.
        key: String,
        /// What is wrong with its value, and what is allowed.
        reason: String,
    },

    /// The built-in defaults can't be listed: a mistake in a settings struct.
    #[error("the built-in defaults cannot be listed: {0}")]
    Defaults(#[source] serde_json::Error),

    /// The settings can't be shown as TOML.
    #[error("the configuration cannot be shown as TOML: {0}")]
    Render(#[source] toml::ser::Error),
}

fn suggest(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(
        || "; --print-config lists the known keys".to_owned(),
        |key| format!("; did you mean {key:?}?"),
    )
}

fn list(available: &[String]) -> String {
    if available.is_empty() {
        String::new()
    } else {
        format!("; there is {}", available.join(", "))
    }
}
