//! The flags that every binary takes.

use std::path::PathBuf;

use clap::Args;

use crate::log_config::LogFormat;

/// Flags that say where the configuration comes from and how to log. Flatten it into a binary's own arguments.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub struct CommonArgs {
    /// Directory of default.toml and the profiles. Without it: the nearest `config/default.toml` at or above the
    /// current directory; without that, the built-in defaults
    #[arg(long, value_name = "DIR", env = "TRIPSTREAM_CONFIG_DIR")]
    pub config_dir: Option<PathBuf>,

    /// Also read PROFILE.toml from the configuration directory
    #[arg(long, value_name = "PROFILE", env = "TRIPSTREAM_PROFILE")]
    pub profile: Option<String>,

    /// File of NAME=VALUE lines. Without it: `.env` beside the configuration directory, if there
    #[arg(long, value_name = "FILE", env = "TRIPSTREAM_ENV_FILE")]
    pub env_file: Option<PathBuf>,

    /// Set one configuration key, above all files and the environment; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Print the configuration that results, secrets masked, and exit
    #[arg(long)]
    pub print_config: bool,

    /// Once it listens, write its address to this file, as one line of JSON; removed at the end
    #[arg(long, value_name = "FILE")]
    pub ports_file: Option<PathBuf>,

    /// How log lines look [default: text on a terminal, json elsewhere]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,

    /// What is logged: a level, or tracing directives such as `info,joiner=debug`
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}
