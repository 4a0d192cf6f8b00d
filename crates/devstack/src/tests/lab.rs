//! A broker in memory that gets frames without a connection.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, RequestKind, ResponseHeader, ResponseKind};
use kafka_protocol::protocol::{Decodable, Encodable};
use tokio::runtime::Runtime;

use crate::advertised::HostPort;
use crate::api;
use crate::broker::{Broker, BrokerSettings};
use crate::peer::Peer;
use crate::storage::Sqlite;
use crate::wire::{Request, WireError, frame};

pub(super) const CORRELATION_ID: i32 = 0x7a7a_0001;
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9092);
/// The time-out for an API that may wait for other clients.
const PATIENCE: Duration = Duration::from_millis(2);
/// The time-out for any other API.
const DEADLINE: Duration = Duration::from_secs(20);

/// The result of a frame.
#[derive(Debug)]
pub(super) enum Fate {
    /// The frame of the answer, its length included.
    Answered(Bytes),
    /// It asked for no answer.
    Unanswered,
    /// It waits for others.
    Waits,
    /// Its connection would be closed.
    Refused(WireError),
}

/// The broker, and the thread that it runs on.
pub(super) struct Lab {
    runtime: Runtime,
    pub(super) broker: Arc<Broker>,
}

impl Lab {
    pub(super) fn new() -> Self {
        Self::advertising(None)
    }

    /// One that tells its clients this address.
    pub(super) fn advertising(advertise: Option<HostPort>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let settings = BrokerSettings {
            auto_create_topics: true,
            default_partitions: 2,
            advertise,
            log_dir: "in memory".to_owned(),
        };
        let storage = Arc::new(Sqlite::in_memory().unwrap());
        let broker = Broker::open(settings, storage, Arc::default(), 0).unwrap();
        Self { runtime, broker: Arc::new(broker) }
    }

    /// Does what a frame asks, given without its length. Panics if that takes for ever.
    pub(super) fn meet(&self, frame: Bytes) -> Fate {
        self.meet_within(PATIENCE, frame)
    }

    fn meet_within(&self, patience: Duration, frame: Bytes) -> Fate {
        let request = match Request::read(frame) {
            Ok(request) => request,
            Err(error) => return Fate::Refused(error),
        };
        let may_wait = matches!(request.api, ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup);
        let peer = Peer { addr: PEER, reached_at: PEER };
        let began = Instant::now();
        let answer = self.runtime.block_on(async {
            let answer = pin!(api::handle(&self.broker, &request, peer));
            let deadline = if may_wait { patience } else { DEADLINE };
            within(deadline, answer).await
        });
        let (api, version) = (request.api, request.version);
        assert!(began.elapsed() < 2 * DEADLINE, "{api:?} {version} took {:?}", began.elapsed());
        match answer {
            Some(Ok(Some(answer))) => Fate::Answered(answer),
            Some(Ok(None)) => Fate::Unanswered,
            Some(Err(error)) => Fate::Refused(error),
            None if may_wait => Fate::Waits,
            None => panic!("{api:?} {version} is not answered"),
        }
    }

    /// Sends a request as a client would, and reads its answer.
    pub(super) fn ask(&self, version: i16, body: &RequestKind) -> ResponseKind {
        let (api, frame) = encode(version, body);
        match self.meet_within(DEADLINE, frame) {
            Fate::Answered(answer) => decode(api, version, &answer),
            other => panic!("{api:?} {version}: {other:?}"),
        }
    }
}

async fn within<T>(deadline: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(deadline, work).await.ok()
}

/// A request as it is on the wire, without the length of its frame.
pub(super) fn encode(version: i16, body: &RequestKind) -> (ApiKey, Bytes) {
    let api = api_of(body);
    let mut frame = BytesMut::new();
    RequestHeader::default()
        .with_request_api_key(api as i16)
        .with_request_api_version(version)
        .with_correlation_id(CORRELATION_ID)
        .with_client_id(Some("a client".into()))
        .encode(&mut frame, api.request_header_version(version))
        .unwrap();
    body.encode(&mut frame, version).unwrap_or_else(|error| panic!("{api:?} {version}: {error}"));
    (api, frame.freeze())
}

/// Reads the frame of an answer to its end. Panics if it is not one to a request of this version.
pub(super) fn decode(api: ApiKey, version: i16, answer: &Bytes) -> ResponseKind {
    let mut rest = answer.clone();
    let length = rest.split_to(frame::LENGTH);
    let expected = (rest.len() as i32).to_be_bytes();
    assert_eq!(length[..], expected, "{api:?} {version}: the length of the answer");
    let header = ResponseHeader::decode(&mut rest, api.response_header_version(version)).unwrap();
    assert_eq!(header.correlation_id, CORRELATION_ID, "{api:?} {version}");
    let answer = ResponseKind::decode(api, &mut rest, version)
        .unwrap_or_else(|error| panic!("the answer to {api:?} {version}: {error}"));
    assert!(rest.is_empty(), "{api:?} {version}: {} bytes behind the answer", rest.len());
    answer
}

/// A header alone, whatever API and version it names.
pub(super) fn header(api: i16, version: i16) -> BytesMut {
    let mut frame = BytesMut::new();
    frame.put_i16(api);
    frame.put_i16(version);
    frame.put_i32(CORRELATION_ID);
    frame.put_i16(-1);
    frame
}

fn api_of(body: &RequestKind) -> ApiKey {
    use RequestKind as Kind;
    match body {
        Kind::Produce(_) => ApiKey::Produce,
        Kind::Fetch(_) => ApiKey::Fetch,
        Kind::ListOffsets(_) => ApiKey::ListOffsets,
        Kind::Metadata(_) => ApiKey::Metadata,
        Kind::OffsetCommit(_) => ApiKey::OffsetCommit,
        Kind::OffsetFetch(_) => ApiKey::OffsetFetch,
        Kind::FindCoordinator(_) => ApiKey::FindCoordinator,
        Kind::JoinGroup(_) => ApiKey::JoinGroup,
        Kind::Heartbeat(_) => ApiKey::Heartbeat,
        Kind::LeaveGroup(_) => ApiKey::LeaveGroup,
        Kind::SyncGroup(_) => ApiKey::SyncGroup,
        Kind::DescribeGroups(_) => ApiKey::DescribeGroups,
        Kind::ListGroups(_) => ApiKey::ListGroups,
        Kind::ApiVersions(_) => ApiKey::ApiVersions,
        Kind::CreateTopics(_) => ApiKey::CreateTopics,
        Kind::DeleteTopics(_) => ApiKey::DeleteTopics,
        Kind::DeleteRecords(_) => ApiKey::DeleteRecords,
        Kind::InitProducerId(_) => ApiKey::InitProducerId,
        Kind::OffsetForLeaderEpoch(_) => ApiKey::OffsetForLeaderEpoch,
        Kind::AddPartitionsToTxn(_) => ApiKey::AddPartitionsToTxn,
        Kind::AddOffsetsToTxn(_) => ApiKey::AddOffsetsToTxn,
        Kind::EndTxn(_) => ApiKey::EndTxn,
        Kind::TxnOffsetCommit(_) => ApiKey::TxnOffsetCommit,
        Kind::DescribeAcls(_) => ApiKey::DescribeAcls,
        Kind::DescribeLogDirs(_) => ApiKey::DescribeLogDirs,
        Kind::DescribeConfigs(_) => ApiKey::DescribeConfigs,
        Kind::AlterConfigs(_) => ApiKey::AlterConfigs,
        Kind::CreatePartitions(_) => ApiKey::CreatePartitions,
        Kind::DeleteGroups(_) => ApiKey::DeleteGroups,
        Kind::IncrementalAlterConfigs(_) => ApiKey::IncrementalAlterConfigs,
        Kind::OffsetDelete(_) => ApiKey::OffsetDelete,
        Kind::DescribeCluster(_) => ApiKey::DescribeCluster,
        Kind::DescribeProducers(_) => ApiKey::DescribeProducers,
        Kind::DescribeTransactions(_) => ApiKey::DescribeTransactions,
        Kind::ListTransactions(_) => ApiKey::ListTransactions,
        other => panic!("not served: {other:?}"),
    }
}
