//! Many connections, short and long ones.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, CreateTopicsRequest, FetchRequest, GroupId, JoinGroupRequest,
    MetadataRequest, RequestKind, TopicName,
};

use crate::scene::Scene;
use crate::wire::{Client, Reply, request};

/// As many connections as the limit of open files allows. Both ends of each are in this process.
fn connections_up_to(wanted: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let limit = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    // The other tests need some, too.
    wanted.min(limit.unwrap_or(1_024).saturating_sub(400) / 2)
}

/// So many connections are made before the broker must have accepted them: half of the system's backlog.
const AT_ONCE: usize = 64;

/// Waits until the broker has accepted the earlier connections.
fn wait_for_accept(broker: &str) {
    assert!(!Client::connect(broker).served().is_empty());
}

#[test]
fn thousands_of_connections_come_and_go() {
    let scene = Scene::open();
    let broker = scene.broker();
    let whole = [&26_i32.to_be_bytes()[..], &[0, 18, 0, 0, 0, 0, 0, 1, 0, 0]].concat();
    for round in 0..3_000 {
        let mut client = Client::connect(&broker);
        // Nothing, half a length, a length alone, half a request.
        client.send(&whole[..[0, 2, 4, 10][round % 4]]);
        if round % AT_ONCE == 0 {
            wait_for_accept(&broker);
        }
    }
    scene.close();
}

#[test]
fn requests_that_never_end_hold_no_memory_and_nobody_up() {
    let scene = Scene::open();
    let mut held = Vec::new();
    for index in 0..connections_up_to(300) {
        let mut client = Client::connect(&scene.broker());
        // The largest Produce request that there may be, and the largest one of another API.
        let (length, api) = if index % 2 == 0 { (32 << 20, 0) } else { (2 << 20, 3) };
        client.send(&[&i32::to_be_bytes(length)[..], &[0, api, 0, 9], &[0; 1_000]].concat());
        held.push(client);
    }
    scene.close();
    drop(held);
}

#[test]
fn connections_beyond_the_limit_are_closed_and_later_ones_served() {
    let scene = Scene::open();
    let wanted = 2_100;
    let count = connections_up_to(wanted);
    let mut held = Vec::new();
    for index in 0..count {
        let mut client = Client::connect(&scene.broker());
        // Connections within the limit are served.
        if index % AT_ONCE == 0 && index < 1_900 {
            assert!(!client.served().is_empty());
        }
        held.push(client);
    }
    if count == wanted {
        // The last one is beyond the limit.
        assert_eq!(held.last_mut().unwrap().reply(), Reply::Closed);
    }
    drop(held);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_served(&scene.broker()) {
        assert!(Instant::now() < deadline, "nobody is served any more");
    }
    scene.close();
}

/// Whether the broker answers on a new connection, and closes it after that, so that there is room for the next one.
fn is_served(broker: &str) -> bool {
    let mut client = Client::connect(broker);
    let body = RequestKind::ApiVersions(ApiVersionsRequest::default());
    client.send_frame(&request(ApiKey::ApiVersions, 0, &body));
    let is_served = matches!(client.reply(), Reply::Answer(_));
    client.end();
    is_served && client.reply() == Reply::Closed
}

#[test]
fn answers_that_nobody_reads_stop_their_own_connection_only() {
    let scene = Scene::open();
    // About 300 kB an answer.
    let wide = CreatableTopic::default().with_name(TopicName("wide".into()));
    let wide = wide.with_num_partitions(10_000).with_replication_factor(1);
    let create = CreateTopicsRequest::default().with_topics(vec![wide]);
    let mut client = Client::connect(&scene.broker());
    client.ask(5, &RequestKind::CreateTopics(create), ApiKey::CreateTopics);
    let all = MetadataRequest::default().with_topics(None);
    let frame = request(ApiKey::Metadata, 12, &RequestKind::Metadata(all));
    let framed = [&(frame.len() as i32).to_be_bytes()[..], &frame].concat();
    let silent: Vec<_> = (0..20)
        .map(|_| {
            let stream = TcpStream::connect(scene.broker()).unwrap();
            stream.set_nonblocking(true).unwrap();
            // Until the broker takes no more; some hundred kilobytes are in the sockets then.
            let mut sent = 0;
            let requests = framed.repeat(1_000);
            while sent < 200 << 20 {
                match std::io::Write::write(&mut &stream, &requests) {
                    Ok(size) => sent += size,
                    Err(_) => break,
                }
            }
            stream
        })
        .collect();
    scene.close();
    drop(silent);
}

#[test]
fn clients_that_leave_while_they_wait_are_not_waited_for() {
    let scene = Scene::open();
    let protocol = JoinGroupRequestProtocol::default().with_name("range".into());
    let join = |group: usize| {
        let body = JoinGroupRequest::default()
            .with_group_id(GroupId(format!("group {}", group % 3).into()))
            .with_session_timeout_ms(1_000)
            .with_rebalance_timeout_ms(i32::MAX)
            .with_protocol_type("consumer".into())
            .with_protocols(vec![protocol.clone()]);
        request(ApiKey::JoinGroup, 1, &RequestKind::JoinGroup(body))
    };
    let fetch = FetchRequest::default().with_max_wait_ms(i32::MAX).with_min_bytes(i32::MAX);
    let fetch = request(ApiKey::Fetch, 12, &RequestKind::Fetch(fetch));
    // More than may be open at once, so closed ones must not count.
    for index in 0..2_500 {
        let mut client = Client::connect(&scene.broker());
        client.send_frame(&if index % 2 == 0 { join(index) } else { fetch.clone() });
        if index % AT_ONCE == 0 {
            wait_for_accept(&scene.broker());
        }
    }
    scene.close();
}
