#![doc = include_str!("../README.md")]

mod cache;
mod datum;
mod decode;
mod encode;
mod fields;
mod json;
mod record;
pub mod registry;
mod row;
mod schema_json;
pub mod splice;
mod wire;

pub use cache::{Decoded, ReadError, SchemaCache};
pub use decode::{DecodeError, WriterSchema};
pub use encode::{EncodeError, Encoder};
pub use record::{Record, RecordType};
pub use registry::{RegistryClient, RegistryConfig, RegistryError};
pub use row::{EncodedRow, record_of};
pub use wire::{FrameError, HEADER_BYTES, SchemaId, frame};
