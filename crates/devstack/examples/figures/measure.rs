//! The measurements.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::broker::Broker;

const RECORDS: usize = 3_000_000;
const PARTITIONS: i32 = 3;
const SIZE: usize = 150;
const TRANSACTIONS: u32 = 500;
const LATENCIES: usize = 500;
const DEADLINE: Duration = Duration::from_secs(120);

pub(crate) struct Figures {
    pub(crate) produced_per_second: f64,
    pub(crate) consumed_per_second: f64,
    pub(crate) latency_p50_ms: f64,
    pub(crate) latency_p99_ms: f64,
    pub(crate) transactions_per_second: f64,
    pub(crate) start_ms: Option<f64>,
    pub(crate) idle_mb: Option<f64>,
}

impl Figures {
    pub(crate) fn of(broker: &Broker) -> Self {
        let idle_mb = broker.resident_mb();
        let topic = topic(broker, "throughput", PARTITIONS);
        // One run to warm up, because a JVM compiles code that runs often.
        produce(broker, &topic, RECORDS / 3);
        let produced = produce(broker, &topic, RECORDS);
        let consumed = consume(broker, &topic, RECORDS / 3 + RECORDS);
        let mut latencies = latencies(broker);
        latencies.sort();
        let percentile = |percent: usize| {
            latencies[(latencies.len() * percent / 100).min(latencies.len() - 1)].as_secs_f64()
                * 1e3
        };
        Self {
            produced_per_second: RECORDS as f64 / produced.as_secs_f64(),
            consumed_per_second: (RECORDS / 3 + RECORDS) as f64 / consumed.as_secs_f64(),
            latency_p50_ms: percentile(50),
            latency_p99_ms: percentile(99),
            transactions_per_second: f64::from(TRANSACTIONS) / transactions(broker).as_secs_f64(),
            start_ms: broker.start.map(|start| start.as_secs_f64() * 1e3),
            idle_mb,
        }
    }
}

fn topic(broker: &Broker, name: &str, partitions: i32) -> String {
    use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
    let name = format!("figures-{name}-{}", uuid::Uuid::new_v4());
    let admin: AdminClient<_> = broker.client().create().unwrap();
    let new = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
    let created = admin.create_topics([&new], &AdminOptions::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(created).unwrap().remove(0).unwrap();
    name
}

fn produce(broker: &Broker, topic: &str, records: usize) -> Duration {
    let mut config = broker.client();
    config.set("linger.ms", "5").set("enable.idempotence", "true").set("acks", "all");
    config.set("queue.buffering.max.messages", "1000000");
    let producer: BaseProducer = config.create().unwrap();
    let value = [b'x'; SIZE];
    let started = Instant::now();
    for n in 0..records {
        let partition = n as i32 % PARTITIONS;
        let mut record = BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(&value);
        loop {
            match producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), same)) => {
                    record = same;
                    producer.poll(Duration::from_millis(1));
                }
                Err((error, _)) => panic!("{error}"),
            }
        }
        if n % 10_000 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(DEADLINE).unwrap();
    started.elapsed()
}

fn consume(broker: &Broker, topic: &str, records: usize) -> Duration {
    let consumer = consumer(broker, topic, PARTITIONS, Offset::Beginning);
    let started = Instant::now();
    let mut count = 0;
    while count < records {
        assert!(started.elapsed() < DEADLINE, "{count} of {records}");
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            assert_eq!(message.unwrap().payload_len(), SIZE);
            count += 1;
        }
    }
    started.elapsed()
}

fn consumer(broker: &Broker, topic: &str, partitions: i32, from: Offset) -> BaseConsumer {
    let mut config = broker.client();
    config.set("group.id", "figures").set("enable.auto.commit", "false");
    config.set("fetch.queue.backoff.ms", "5");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition, from).unwrap();
    }
    consumer.assign(&assignment).unwrap();
    consumer
}

/// From passing a record to the producer until a waiting consumer has it.
fn latencies(broker: &Broker) -> Vec<Duration> {
    let topic = topic(broker, "latency", 1);
    let consumer = consumer(broker, &topic, 1, Offset::Beginning);
    let mut config = broker.client();
    config.set("linger.ms", "0").set("acks", "all");
    let producer: BaseProducer = config.create().unwrap();
    let mut latencies = Vec::new();
    for n in 0..LATENCIES + 50 {
        let value = n.to_string();
        let started = Instant::now();
        producer.send(BaseRecord::<(), str>::to(&topic).payload(&value)).unwrap();
        loop {
            assert!(started.elapsed() < DEADLINE);
            if let Some(message) = consumer.poll(Duration::from_millis(100)) {
                assert_eq!(message.unwrap().payload(), Some(value.as_bytes()));
                break;
            }
        }
        // The first ones find connections that are still being made.
        if n >= 50 {
            latencies.push(started.elapsed());
        }
        producer.poll(Duration::ZERO);
    }
    latencies
}

fn transactions(broker: &Broker) -> Duration {
    let topic = topic(broker, "transactions", 1);
    let mut config = broker.client();
    config.set("transactional.id", &topic).set("linger.ms", "0");
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(DEADLINE).unwrap();
    let started = Instant::now();
    for _ in 0..TRANSACTIONS {
        producer.begin_transaction().unwrap();
        producer.send(BaseRecord::<(), [u8]>::to(&topic).payload(&[b'x'; SIZE][..])).unwrap();
        // commit_transaction flushes in steps of 100 ms.
        while producer.in_flight_count() > 0 {
            producer.poll(Duration::from_millis(1));
        }
        producer.commit_transaction(DEADLINE).unwrap();
    }
    started.elapsed()
}
