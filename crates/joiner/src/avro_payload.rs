//! What a row carries through the join.

use std::sync::Arc;

/// A row as the bytes of its Avro datum, written with our own schema.
///
/// A row is checked to the last byte when it is read, so that only valid rows get into the state. It is not decoded
/// into a value. The outputs are put together from the same bytes, and the changelog keeps them as they are. The bytes
/// are shared, because the changelog takes a copy of each open row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AvroPayload(Arc<[u8]>);

impl AvroPayload {
    /// Copies the datum of a checked row.
    pub(crate) fn new(datum: &[u8]) -> Self {
        Self(datum.into())
    }

    /// The datum.
    pub(crate) fn datum(&self) -> &[u8] {
        &self.0
    }
}

impl join::RowPayload for AvroPayload {
    fn size_bytes(&self) -> usize {
        // With the two counts of the shared pointer.
        2 * size_of::<usize>() + self.0.len()
    }
}
