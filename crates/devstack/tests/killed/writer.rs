//! An idempotent producer that writes continuously, and records what was acknowledged.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::Message;
use rdkafka::error::RDKafkaErrorCode::QueueFull;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use crate::PARTITIONS;
use crate::run::{DEADLINE, Run};

const TICK: Duration = Duration::from_millis(5);
const RECORDS_PER_TICK: usize = 10;

/// The records of a writer: numbers from 0 on, alternating between two topics.
pub struct Written {
    pub writer: usize,
    pub sent: usize,
    /// Topic, partition, offset and number of each record that was acknowledged.
    pub acked: Vec<(String, i32, i64, usize)>,
}

/// The value of a writer's record, and of the copy that a pipeline makes of it.
pub fn value(writer: usize, number: usize) -> String {
    format!("{writer}/{number}")
}

#[derive(Default)]
struct Delivered {
    acked: Vec<(String, i32, i64, usize)>,
    refused: Vec<String>,
}

struct Deliveries {
    run: Arc<Run>,
    delivered: Mutex<Delivered>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    /// The number of the record.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let mut delivered = self.delivered.lock().unwrap();
        match result {
            Ok(message) => {
                let topic = message.topic().to_owned();
                delivered.acked.push((topic, message.partition(), message.offset(), number));
                self.run.progress.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => delivered.refused.push(format!("{number}: {error}")),
        }
    }
}

/// Writes until it is stopped, then waits until everything is acknowledged.
pub fn write(run: &Arc<Run>, writer: usize) -> Written {
    let deliveries =
        Deliveries { run: Arc::clone(run), delivered: Mutex::new(Delivered::default()) };
    let producer: ThreadedProducer<Deliveries> = run
        .client(&[
            ("enable.idempotence", "true"),
            ("linger.ms", "2"),
            // Longer than any restart, so that every record is acknowledged in the end.
            ("message.timeout.ms", "120000"),
            ("retry.backoff.ms", "20"),
        ])
        .create_with_context(deliveries)
        .unwrap();
    let mut sent = 0;
    while !run.writers_stop.load(Ordering::Relaxed) {
        for _ in 0..RECORDS_PER_TICK {
            let topic = if sent % 2 == 0 { &run.plain } else { &run.input };
            let (value, partition) = (value(writer, sent), (sent / 2) as i32 % PARTITIONS);
            let record = BaseRecord::<str, str, usize>::with_opaque_to(topic, sent)
                .payload(&value)
                .partition(partition);
            match producer.send(record) {
                Ok(()) => sent += 1,
                // The broker is down for long.
                Err((error, _)) if error.rdkafka_error_code() == Some(QueueFull) => break,
                Err((error, _)) => panic!("writer {writer}: {error}"),
            }
        }
        std::thread::sleep(TICK);
    }
    producer.flush(DEADLINE).unwrap();
    let delivered = std::mem::take(&mut *producer.context().delivered.lock().unwrap());
    assert!(delivered.refused.is_empty(), "writer {writer}: {:?}", delivered.refused);
    Written { writer, sent, acked: delivered.acked }
}
