#![doc = include_str!("../README.md")]
//!
//! A service is a settings struct and an async function; [`main`] does the rest:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use clap::Parser;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Parser)]
//! struct Args { #[command(flatten)] common: service::CommonArgs }
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Config { log: service::LogConfig, shutdown: service::ShutdownConfig }
//!
//! impl service::Settings for Config {
//!     fn log(&self) -> &service::LogConfig { &self.log }
//!     fn shutdown(&self) -> &service::ShutdownConfig { &self.shutdown }
//! }
//!
//! async fn run(_config: Config, ctx: service::Context) -> anyhow::Result<()> {
//!     ctx.shutdown.wait().await;
//!     Ok(())
//! }
//!
//! fn main() -> ExitCode {
//!     let args = Args::parse();
//!     service::main("example", &args.common, &[], run)
//! }
//! ```

pub mod admin;
mod args;
mod causes;
pub mod config;
mod context;
mod dependency;
mod health;
mod log_config;
mod logging;
mod metrics;
mod pauses;
mod ports_file;
mod print;
mod process;
mod shutdown;
pub mod status;
mod text_format;

pub use args::CommonArgs;
pub use causes::with_causes;
pub use config::{ConfigError, Override, Settings};
pub use context::Context;
pub use dependency::Dependency;
pub use health::Health;
pub use log_config::{LogConfig, LogFormat};
pub use metrics::Metrics;
pub use pauses::Pauses;
pub use ports_file::PortsFile;
pub use print::print;
pub use process::main;
pub use shutdown::{Shutdown, ShutdownConfig};
