#![doc = include_str!("../README.md")]

mod config;
pub mod headers;
mod log_context;
pub mod log_ends;
pub mod partitioner;
pub mod probe;
mod properties;
pub mod read_to_end;
pub mod timestamps;
mod topic_error;
pub mod topics;
pub mod transaction;

pub use config::{ConfigError, KafkaConfig};
pub use log_context::LogContext;
pub use properties::Properties;
