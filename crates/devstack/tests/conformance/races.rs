//! Concurrent requests, and extreme numbers.

use std::sync::atomic::{AtomicBool, Ordering};

use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable};

use crate::rig::{topic, transactional_id};
use crate::wire::batch::Batch;
use crate::wire::{Fetch, Wire};

#[test]
fn correlation_id_is_echoed_whatever_it_is() {
    for id in [1, 8_388_608, 8_388_609, i32::MAX, -5] {
        let mut wire = Wire::connect();
        let header = RequestHeader::default()
            .with_request_api_key(ApiKey::ApiVersions as i16)
            .with_request_api_version(0)
            .with_correlation_id(id);
        let mut frame = bytes::BytesMut::new();
        header.encode(&mut frame, 1).unwrap();
        ApiVersionsRequest::default().encode(&mut frame, 0).unwrap();
        wire.send_frame(&frame);
        let mut answer = wire.receive_frame().unwrap();
        let header = ResponseHeader::decode(&mut answer, 0).unwrap();
        assert_eq!(header.correlation_id, id);
    }
}

#[test]
fn aborted_records_stay_invisible_while_records_are_deleted() {
    aborted_records_stay_invisible(|wire, topic, end| {
        wire.delete_records(topic, 0, end).unwrap();
    });
}

#[test]
fn aborted_records_stay_invisible_while_their_topic_is_deleted() {
    aborted_records_stay_invisible(|wire, topic, _| wire.delete_topic(topic).unwrap());
}

/// Reads what is aborted while it is being deleted, beside a producer that keeps the disk busy.
fn aborted_records_stay_invisible(delete: impl Fn(&mut Wire, &str, i64)) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| keep_busy(&stop));
        let id = transactional_id();
        let mut wire = Wire::connect();
        let producer = wire.transactional_producer(&id);
        for _ in 0..20 {
            let topic = topic(1);
            wire.add_partition(&id, producer, &topic).unwrap();
            let aborted = Batch::of(&["aborted"]).by(producer, 0);
            let at = wire.produce_in(&id, &topic, aborted).unwrap();
            wire.end_transaction(&id, producer, false).unwrap();
            let readers = [0; 4].map(|_| {
                let topic = topic.clone();
                scope.spawn(move || read_while_there(&topic, at))
            });
            delete(&mut wire, &topic, at + 1);
            for reader in readers {
                reader.join().unwrap();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

fn keep_busy(stop: &AtomicBool) {
    let topic = topic(1);
    let mut wire = Wire::connect();
    let batch = Batch::of(&[vec![0_u8; 900_000]]);
    while !stop.load(Ordering::Relaxed) {
        let at = wire.produce(&topic, 0, &batch).unwrap();
        if at % 50 == 0 {
            wire.delete_records(&topic, 0, at).unwrap();
        }
    }
}

fn read_while_there(topic: &str, offset: i64) {
    let mut wire = Wire::connect();
    while let Ok(fetched) = wire.fetch(topic, 0, offset, &Fetch::committed()) {
        if fetched.values().is_empty() {
            return;
        }
        assert!(!fetched.aborted.is_empty(), "nobody says that these are aborted");
    }
}
