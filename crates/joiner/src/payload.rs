//! What a row carries through the join.

use std::sync::Arc;

/// A row as the bytes of its Avro datum, written with our own schema.
///
/// A row is checked to the last byte when it comes, so that nothing wrong gets into the state; but nothing is
/// built from it. The outputs are put together from the same bytes, and the changelog keeps them as they are.
/// Shared, because the changelog takes a copy of what is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payload(Arc<[u8]>);

impl Payload {
    /// Takes over the datum of a checked row.
    pub(crate) fn new(datum: &[u8]) -> Self {
        Self(datum.into())
    }

    /// The datum.
    pub(crate) fn datum(&self) -> &[u8] {
        &self.0
    }
}

impl join::RowPayload for Payload {
    fn size_bytes(&self) -> usize {
        // With the two counts of the shared pointer.
        2 * size_of::<usize>() + self.0.len()
    }
}
