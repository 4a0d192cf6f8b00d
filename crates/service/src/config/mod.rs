//! The configuration: six layers, lowest first, and every key of every layer checked.
//!
//! Built-in defaults, `default.toml`, `<profile>.toml`, `.env`, the environment, flags. A key that no setting has is
//! an error that names the key and where it stands; it is never ignored.

mod course_names;
mod dotenv;
mod error;
mod files;
mod keys;
mod layer;

use std::borrow::Cow;
use std::path::PathBuf;

use config::Config;
use serde::{Serialize, de::DeserializeOwned};

use crate::{CommonArgs, LogConfig, ShutdownConfig};
use course_names::Meaning;
use dotenv::EnvFile;
pub use error::ConfigError;
use files::Files;
use keys::KnownKeys;
use layer::Layer;

/// The settings of one service: one struct with a field for each section it reads.
///
/// The default value is the lowest layer, and at the same time the list of all keys there are: a key is known if the
/// serialised default has it. An empty map among the defaults takes any key (`kafka.properties`).
pub trait Settings: Default + Serialize + DeserializeOwned {
    /// Section `[log]`.
    fn log(&self) -> &LogConfig;

    /// Section `[shutdown]`.
    fn shutdown(&self) -> &ShutdownConfig;

    /// Where `/health/*` and `/metrics` are served; `None` if the service mounts them on a port of its own or, being a
    /// command that ends by itself, has none.
    fn admin(&self) -> Option<std::net::SocketAddr> {
        None
    }

    /// What no single field can say: ranges, and fields that need each other.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`], naming the key.
    fn validate(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// One key set by a flag: dotted key and value as text.
pub type Override = (Cow<'static, str>, String);

/// Where variables stand that are in no file.
const ENVIRONMENT: &str = "the environment";

/// The sections that a configuration file may have. A service reads its own and leaves the others' to them.
const SECTIONS: [&str; 11] = [
    "client",
    "joiner",
    "kafka",
    "log",
    "producer",
    "registry",
    "scheduler_cron",
    "scheduler_loop",
    "shutdown",
    "topics",
    "tripctl",
];

/// A configuration and where it came from.
#[derive(Debug)]
pub struct Loaded<S> {
    /// The settings that result.
    pub settings: S,
    /// The files that were read, lowest layer first.
    pub files: Vec<PathBuf>,
    /// What is probably not as it was meant, but can be passed over. To be logged, once there is a log.
    pub warnings: Vec<String>,
}

/// Reads all layers. `flags` are keys that a binary's own flags set; they count above `--set`.
///
/// # Errors
///
/// See [`ConfigError`]: each names the key or file, what is wrong with it, and where it stands.
pub fn load<S: Settings>(args: &CommonArgs, flags: &[Override]) -> Result<Loaded<S>, ConfigError> {
    load_with::<S>(args, flags, &std::env::vars_os().filter_map(utf8_pair).collect::<Vec<_>>())
}

/// Whether an environment variable of this name can count for the configuration of a service: one of ours, or one of the
/// course's and those that are taken for them.
pub fn is_setting(name: &str) -> bool {
    name.to_lowercase().starts_with("tripstream_")
        || matches!(course_names::meaning(name), Meaning::Course(_) | Meaning::Alias(_))
}

fn utf8_pair((name, value): (std::ffi::OsString, std::ffi::OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}

fn load_with<S: Settings>(
    args: &CommonArgs,
    flags: &[Override],
    environment: &[(String, String)],
) -> Result<Loaded<S>, ConfigError> {
    let known = KnownKeys::of(&S::default())?;
    let files = Files::find(args)?;

    let mut layers = vec![Layer::from_json(known.defaults(), "the built-in defaults")];
    for path in &files.toml {
        layers.push(Layer::from_toml(path, &known)?);
    }
    let mut warnings = Vec::new();
    let environment_pairs =
        || environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let aliases = Layer::from_aliases(environment_pairs(), ENVIRONMENT, &known);
    if let Some(path) = &files.env {
        let place = path.display().to_string();
        let EnvFile { variables, unreadable } = dotenv::parse(&files::read(path)?, environment);
        warnings.extend(unreadable.iter().map(|line| {
            format!(
                "{place}: the statement that begins in line {line} can't be read; it is passed over"
            )
        }));
        let pairs = || variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        layers.push(Layer::from_aliases(pairs(), &place, &known));
        layers.push(aliases);
        layers.push(Layer::from_variables(pairs(), &place, &known, &mut warnings)?);
    } else {
        layers.push(aliases);
    }
    layers.push(Layer::from_variables(environment_pairs(), ENVIRONMENT, &known, &mut warnings)?);
    layers.push(Layer::from_flags(args, flags, &known)?);

    let settings: S = merge(&layers)
        .and_then(Config::try_deserialize)
        .map_err(|err| ConfigError::Value { place: place(&err, &layers), source: Box::new(err) })?;
    settings.validate()?;
    Ok(Loaded { settings, files: files.toml.into_iter().chain(files.env).collect(), warnings })
}

fn merge(layers: &[Layer]) -> Result<Config, config::ConfigError> {
    let builder = Config::builder();
    layers.iter().fold(builder, |builder, layer| builder.add_source(layer.clone())).build()
}

/// Where the value stands that `err` is about, for errors that name a key but no place (numbers out of range).
fn place(err: &config::ConfigError, layers: &[Layer]) -> Option<String> {
    let (config::ConfigError::Type { origin: None, key: Some(key), .. }
    | config::ConfigError::At { origin: None, key: Some(key), .. }) = err
    else {
        return None;
    };
    layers.iter().rev().find_map(|layer| layer.origin_of(key))
}

/// The settings as TOML, secrets masked: what `--print-config` prints.
///
/// # Errors
///
/// If a setting has no TOML form.
pub fn render<S: Settings>(settings: &S) -> Result<String, ConfigError> {
    toml::to_string_pretty(settings).map_err(ConfigError::Render)
}

/// For a key that may be left out: an empty text is as if it was. So the environment can take back what a file says.
///
/// # Errors
///
/// If it is no text.
pub fn unless_empty<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: From<String>,
{
    let text = <Option<String> as serde::Deserialize>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()).map(T::from))
}

#[cfg(test)]
mod tests;
