//! Invalid frames and invalid bodies.

use std::sync::atomic::{AtomicUsize, Ordering};

use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, MetadataRequest, RequestKind};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::scene::Scene;
use crate::wire::{CORRELATION_ID, Client, Reply, header, request};

fn framed(frame: &[u8]) -> Vec<u8> {
    [&(frame.len() as i32).to_be_bytes(), frame].concat()
}

#[test]
fn what_is_no_request_closes_its_connection() {
    let scene = Scene::open();
    let versions =
        request(ApiKey::ApiVersions, 0, &RequestKind::ApiVersions(ApiVersionsRequest::default()));
    let of = |key: i16, version: i16| {
        let mut frame = versions.to_vec();
        frame[..2].copy_from_slice(&key.to_be_bytes());
        frame[2..4].copy_from_slice(&version.to_be_bytes());
        framed(&frame)
    };
    let with_length = |length: i32| [&length.to_be_bytes()[..], &versions].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("half a length", vec![0, 0]),
        ("half a frame", framed(&versions)[..9].to_vec()),
        ("a negative length", with_length(-1)),
        ("the most negative length", with_length(i32::MIN)),
        ("a length of 2 GiB", with_length(i32::MAX)),
        ("a length just too large", with_length((32 << 20) + 1)),
        ("a length too large for the API", with_length((2 << 20) + 1)),
        ("an empty frame", framed(&[])),
        ("a frame without a version", framed(&versions[..2])),
        ("a frame without a correlation id", framed(&versions[..4])),
        ("a frame that ends in the client id", framed(&versions[..12])),
        ("an API that Kafka doesn't know", of(9_999, 0)),
        ("a negative API", of(-1, 0)),
        ("an API that is not served", of(ApiKey::SaslHandshake as i16, 1)),
        ("a version that is not served", of(ApiKey::Metadata as i16, 13)),
        ("a negative version", of(ApiKey::Fetch as i16, -1)),
        ("a client id of -2 bytes", framed(b"\0\x12\0\0\0\0\0\x4d\xff\xfe")),
        ("a client id that is no text", framed(b"\0\x12\0\0\0\0\0\x4d\0\x02\xff\xfe")),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".repeat(9)),
        ("nothing", Vec::new()),
    ];
    for (what, bytes) in cases {
        let mut client = Client::connect(&scene.broker());
        client.send(&bytes);
        client.end();
        assert_eq!(client.reply(), Reply::Closed, "{what}");
    }
    scene.close();
}

#[test]
fn garbage_behind_valid_requests_leaves_their_answers_alone() {
    let scene = Scene::open();
    let versions = RequestKind::ApiVersions(ApiVersionsRequest::default());
    let metadata = RequestKind::Metadata(MetadataRequest::default().with_topics(None));
    let valid = [
        framed(&request(ApiKey::ApiVersions, 0, &versions)),
        framed(&request(ApiKey::Metadata, 12, &metadata)),
        framed(&request(ApiKey::Metadata, 1, &metadata)),
    ];
    for garbage in [&b"\x7f\xff\xff\xff"[..], b"\0\0\0\x04\x27\x0f\0\0", &[0xff; 300], &[0; 300]] {
        let mut client = Client::connect(&scene.broker());
        client.send(&[&valid.concat(), garbage].concat());
        for _ in &valid {
            let Reply::Answer(answer) = client.reply() else { panic!("{garbage:?}") };
            assert_eq!(answer[..4], CORRELATION_ID.to_be_bytes());
        }
        client.end();
        assert_eq!(client.reply(), Reply::Closed, "{garbage:?}");
    }
    scene.close();
}

/// The body of a request, broken.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![
        Just(b"\x7f\xff\xff\xff".to_vec()),
        Just(b"\x00\xff\xff\xff".to_vec()),
        Just(b"\xff\xff\xff\xff\x0f".to_vec()),
        Just(b"\x80\x80\x80\x80\x0f".to_vec()),
        Just(b"\xff\xff\xff\x7f".to_vec()),
        Just(vec![0]),
        Just(vec![0, 0, 0, 1]),
        any::<[u8; 4]>().prop_map(Vec::from),
    ];
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        prop::collection::vec(length, 1..12).prop_map(|parts| parts.concat()),
    ]
}

#[test]
fn garbage_bodies_of_every_api_and_version_are_answered_or_refused() {
    let scene = Scene::open();
    let served = Client::connect(&scene.broker()).served();
    let (answered, closed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // Each case goes to every API and version.
    let config = Config { cases: 60, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&body(), |body| {
        for &(api, version) in &served {
            let mut frame = header(api, version);
            frame.extend_from_slice(&body);
            let mut client = Client::connect(&scene.broker());
            client.send_frame(&frame);
            // A valid request that waits, for records for example, is not waited for.
            client.end();
            match client.reply() {
                Reply::Answer(answer) => {
                    prop_assert_eq!(&answer[..4], &CORRELATION_ID.to_be_bytes());
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Reply::Closed => {
                    closed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    });
    outcome.unwrap();
    assert!(closed.into_inner() > 100 && answered.into_inner() > 100);
    scene.close();
}
