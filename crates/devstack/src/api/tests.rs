//! What the tests of the APIs share.

use std::fmt::Debug;

use bytes::BytesMut;
use kafka_protocol::protocol::{Decodable, Encodable};

/// A response as a client of this version reads it.
pub(super) fn sent<T: Encodable + Decodable + Debug>(response: &T, version: i16) -> T {
    let mut bytes = BytesMut::new();
    response
        .encode(&mut bytes, version)
        .unwrap_or_else(|error| panic!("{error} in version {version}: {response:?}"));
    let mut bytes = bytes.freeze();
    let response = T::decode(&mut bytes, version).unwrap();
    assert!(bytes.is_empty());
    response
}
