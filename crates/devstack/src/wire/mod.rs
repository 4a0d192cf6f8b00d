//! The Kafka protocol on the wire: frames, headers and requests. Input is not trusted.

pub(crate) mod frame;
mod guarded;
mod produce;

use std::ops::RangeInclusive;

use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ApiKey, ProduceRequest, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable};

use guarded::{Guarded, Lengths, longest};

/// The largest answer. Only requests that ask for the same thing many times would exceed it.
const LARGEST_ANSWER: usize = 64 << 20;
/// The version of a request's header that has compact lengths.
const FLEXIBLE_HEADER: i16 = 2;

/// The versions of each API that are served. Other APIs are absent from ApiVersions, and a request for one closes the
/// connection, as in Kafka.
///
/// The highest version of each API is the last one that is implemented completely. Produce ends before the implicit
/// partitions of KIP-890, ListOffsets before tiered storage, AddPartitionsToTxn before the batches between brokers.
pub(crate) const SERVED: &[(ApiKey, i16, i16)] = &[
    (ApiKey::Produce, 3, 11),
    (ApiKey::Fetch, 4, 16),
    (ApiKey::ListOffsets, 1, 7),
    (ApiKey::Metadata, 0, 12),
    (ApiKey::OffsetCommit, 2, 9),
    (ApiKey::OffsetFetch, 1, 9),
    (ApiKey::FindCoordinator, 0, 5),
    (ApiKey::JoinGroup, 0, 9),
    (ApiKey::Heartbeat, 0, 4),
    (ApiKey::LeaveGroup, 0, 5),
    (ApiKey::SyncGroup, 0, 5),
    (ApiKey::DescribeGroups, 0, 5),
    (ApiKey::ListGroups, 0, 5),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::CreateTopics, 2, 7),
    (ApiKey::DeleteTopics, 1, 6),
    (ApiKey::DeleteRecords, 0, 2),
    (ApiKey::InitProducerId, 0, 5),
    (ApiKey::OffsetForLeaderEpoch, 2, 4),
    (ApiKey::AddPartitionsToTxn, 0, 3),
    (ApiKey::AddOffsetsToTxn, 0, 4),
    (ApiKey::EndTxn, 0, 4),
    (ApiKey::TxnOffsetCommit, 0, 4),
    (ApiKey::DescribeAcls, 1, 3),
    (ApiKey::DescribeConfigs, 1, 4),
    (ApiKey::AlterConfigs, 0, 2),
    (ApiKey::DescribeLogDirs, 1, 4),
    (ApiKey::CreatePartitions, 0, 3),
    (ApiKey::DeleteGroups, 0, 2),
    (ApiKey::IncrementalAlterConfigs, 0, 1),
    (ApiKey::OffsetDelete, 0, 0),
    (ApiKey::DescribeCluster, 0, 1),
    (ApiKey::DescribeProducers, 0, 0),
    (ApiKey::DescribeTransactions, 0, 0),
    (ApiKey::ListTransactions, 0, 1),
];

/// Why a request can't be answered. Its connection is closed, as in Kafka.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The frame is shorter than the fixed part of a header.
    #[error("a frame of {0} bytes is too short for a request")]
    TooShort(usize),
    /// There is no such API, or it is not served.
    #[error("API key {0} is not served")]
    UnknownApi(i16),
    /// The API is served, but not in this version.
    #[error("{api:?} is not served in version {version}")]
    UnknownVersion { api: ApiKey, version: i16 },
    /// The bytes can't be decoded as such a request.
    #[error("not a request of {api:?} in version {version}: {reason}")]
    Malformed { api: ApiKey, version: i16, reason: String },
    /// The request failed, and its client wants no answer.
    #[error("{api:?} without answer: {error}")]
    Unanswered { api: ApiKey, error: ResponseError },
    /// The answer would be too large. No reasonable request leads to this.
    #[error(
        "the answer to {api:?} in version {version} would have {size} bytes, more than {LARGEST_ANSWER}"
    )]
    LargeAnswer { api: ApiKey, version: i16, size: usize },
    /// The answer can't be encoded in its version. This is our own error.
    #[error("the answer to {api:?} can't be written in version {version}: {reason}")]
    Unwritable { api: ApiKey, version: i16, reason: String },
}

/// A request with a decoded header and an undecoded body.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    /// The `client.id` of the client.
    pub(crate) client_id: String,
    body: Bytes,
}

impl Request {
    /// Decodes the header. An unknown version of ApiVersions is accepted, because its answer lists the served versions
    /// (KIP-511).
    pub(crate) fn read(frame: Bytes) -> Result<Self, WireError> {
        let Some(&[k, e, v, n, correlation_id @ ..]) = frame.first_chunk::<8>() else {
            return Err(WireError::TooShort(frame.len()));
        };
        let (key, version) = (i16::from_be_bytes([k, e]), i16::from_be_bytes([v, n]));
        let api = ApiKey::try_from(key).map_err(|()| WireError::UnknownApi(key))?;
        let served = versions(api).ok_or(WireError::UnknownApi(key))?;
        let is_served = served.contains(&version);
        if !is_served && api != ApiKey::ApiVersions {
            return Err(WireError::UnknownVersion { api, version });
        }
        let header_version = if is_served { api.request_header_version(version) } else { 1 };
        let malformed = |reason| WireError::Malformed { api, version, reason };
        let mut rest = Guarded::new(frame, lengths(header_version), longest(api));
        let header = RequestHeader::decode(&mut rest, header_version)
            .map_err(|error| malformed(error.to_string()))?;
        Ok(Self {
            api,
            version,
            // Taken from the frame: `Guarded` might replace a large number.
            correlation_id: i32::from_be_bytes(correlation_id),
            client_id: header.client_id.map(|id| id.to_string()).unwrap_or_default(),
            body: rest.into_rest(),
        })
    }

    /// Whether its version is one of [`SERVED`].
    pub(crate) fn is_served(&self) -> bool {
        versions(self.api).is_some_and(|served| served.contains(&self.version))
    }

    /// Decodes the body of a request other than Produce.
    pub(crate) fn body<T: Decodable>(&self) -> Result<T, WireError> {
        let lengths = lengths(self.api.request_header_version(self.version));
        let mut body = Guarded::new(self.body.clone(), lengths, longest(self.api));
        T::decode(&mut body, self.version).map_err(|error| self.malformed(&error))
    }

    /// Decodes the body of a Produce request.
    pub(crate) fn produce_body(&self) -> Result<ProduceRequest, WireError> {
        produce::read(self.body.clone(), self.version).map_err(|error| self.malformed(&error))
    }

    fn malformed(&self, reason: &impl std::fmt::Display) -> WireError {
        let reason = reason.to_string();
        WireError::Malformed { api: self.api, version: self.version, reason }
    }

    /// Encodes the answer as a whole frame.
    pub(crate) fn answer<T: Encodable>(&self, answer: &T) -> Result<Bytes, WireError> {
        self.answer_in_version(answer, self.version)
    }

    /// Like [`answer`](Self::answer), but in a version other than the request's.
    pub(crate) fn answer_in_version<T: Encodable>(
        &self,
        answer: &T,
        version: i16,
    ) -> Result<Bytes, WireError> {
        let unwritable = |reason: String| WireError::Unwritable { api: self.api, version, reason };
        let header = ResponseHeader::default().with_correlation_id(self.correlation_id);
        let header_version = self.api.response_header_version(version);
        let size = answer.compute_size(version).map_err(|error| unwritable(error.to_string()))?;
        if size > LARGEST_ANSWER {
            return Err(WireError::LargeAnswer { api: self.api, version, size });
        }
        let mut frame = BytesMut::with_capacity(size + 16);
        frame.extend_from_slice(&[0; frame::LENGTH]);
        header
            .encode(&mut frame, header_version)
            .and_then(|()| answer.encode(&mut frame, version))
            .map_err(|error| unwritable(error.to_string()))?;
        let length = (frame.len() - frame::LENGTH) as i32;
        frame[..frame::LENGTH].copy_from_slice(&length.to_be_bytes());
        Ok(frame.freeze())
    }
}

fn lengths(header_version: i16) -> Lengths {
    if header_version < FLEXIBLE_HEADER { Lengths::Fixed } else { Lengths::Compact }
}

fn versions(api: ApiKey) -> Option<RangeInclusive<i16>> {
    let (_, min, max) = SERVED.iter().find(|(served, ..)| *served == api)?;
    Some(*min..=*max)
}
