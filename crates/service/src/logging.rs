//! The log: text for people, JSON lines for machines, always on standard error.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::ChronoLocal;

use crate::config::ConfigError;
use crate::status::{self, AboveStatus};

/// Section `[log]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`) or tracing directives such as `info,joiner=debug`.
    pub level: String,
    /// `auto`, `text` or `json`.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Auto }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One readable line an event, with the local time of day.
    Text,
    /// One JSON object an event, with `timestamp`, `level`, `target`, `message` and the fields at top level.
    Json,
}

/// Libraries that tell of each start and stop what a service says itself. Directives of `log.level` win.
const QUIET: &str = "actix_server=warn";

/// Sends the events of this process to standard error as `config` says. A second call changes nothing.
///
/// # Errors
///
/// [`ConfigError::Invalid`] if the level can't be parsed.
pub(crate) fn init(config: &LogConfig) -> Result<(), ConfigError> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", config.level)).map_err(|err| {
        ConfigError::Invalid {
            key: "log.level".to_owned(),
            reason: format!("{:?} is neither a level nor tracing directives: {err}", config.level),
        }
    })?;
    let terminal = std::io::stderr().is_terminal();
    let json = match config.format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    status::set_live(terminal && !json);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| AboveStatus);
    // `try_init` fails only when a subscriber is set already, as in tests that start several services.
    let _ = if json {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    } else {
        let timer = ChronoLocal::new("%H:%M:%S%.3f".to_owned());
        builder.with_timer(timer).with_ansi(terminal).with_target(false).compact().try_init()
    };
    Ok(())
}
