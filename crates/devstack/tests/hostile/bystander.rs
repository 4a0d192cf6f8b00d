//! A well-behaved producer and consumer, which check that they are not disturbed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

const TOPIC: &str = "bystander";
/// The smallest number of records, even if the attack is short.
const AT_LEAST: u64 = 100;
/// The deadline for one record, and for the consumer to reach the end.
const DEADLINE: Duration = Duration::from_secs(20);

/// Counts delivered records. A failed delivery fails the test.
#[derive(Default)]
struct Deliveries(AtomicU64);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Instant>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Instant>) {
        if let Err((error, _)) = result {
            panic!("a well-behaved record was not taken: {error}");
        }
        assert!(sent.elapsed() < DEADLINE, "a well-behaved record took {:?}", sent.elapsed());
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

pub(crate) struct Bystander {
    stop: Arc<AtomicBool>,
    producing: JoinHandle<u64>,
    consuming: JoinHandle<Vec<u64>>,
    produced: Arc<AtomicU64>,
}

impl Bystander {
    pub(crate) fn start(bootstrap: &str) -> Self {
        let (stop, produced) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(u64::MAX)));
        let producing = {
            let (stop, bootstrap) = (Arc::clone(&stop), bootstrap.to_owned());
            thread::spawn(move || produce(&bootstrap, &stop))
        };
        let consuming = {
            let (produced, bootstrap) = (Arc::clone(&produced), bootstrap.to_owned());
            thread::spawn(move || consume(&bootstrap, &produced))
        };
        Self { stop, producing, consuming, produced }
    }

    /// Checks that all records were acknowledged, and read in order.
    pub(crate) fn finish(self) {
        self.stop.store(true, Ordering::SeqCst);
        let count = self.producing.join().unwrap();
        self.produced.store(count, Ordering::SeqCst);
        let read = self.consuming.join().unwrap();
        assert!(read.iter().copied().eq(0..count), "of {count} records these were read: {read:?}");
    }
}

fn produce(bootstrap: &str, stop: &AtomicBool) -> u64 {
    let producer: BaseProducer<Deliveries> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .create_with_context(Deliveries::default())
        .unwrap();
    let mut sent = 0_u64;
    while !stop.load(Ordering::SeqCst) || sent < AT_LEAST {
        let payload = sent.to_be_bytes();
        let record = BaseRecord::with_opaque_to(TOPIC, Box::new(Instant::now())).key("k");
        if producer.send(record.payload(&payload[..])).is_ok() {
            sent += 1;
        }
        // One record a millisecond or so.
        producer.poll(Duration::from_millis(1));
    }
    producer.flush(DEADLINE).unwrap();
    assert_eq!(producer.context().0.load(Ordering::Relaxed), sent);
    sent
}

fn consume(bootstrap: &str, produced: &AtomicU64) -> Vec<u64> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "bystander")
        .set("auto.offset.reset", "earliest")
        .set("allow.auto.create.topics", "true")
        .set("topic.metadata.refresh.interval.ms", "100")
        .create()
        .unwrap();
    consumer.subscribe(&[TOPIC]).unwrap();
    let mut read = Vec::new();
    let mut last = Instant::now();
    while (read.len() as u64) < produced.load(Ordering::SeqCst) && last.elapsed() < DEADLINE {
        // There are errors until the topic exists.
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            read.push(u64::from_be_bytes(message.payload().unwrap().try_into().unwrap()));
            last = Instant::now();
        }
    }
    read
}
