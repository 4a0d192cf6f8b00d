//! A dev stack for each test, and clients that reconnect quickly.

use std::time::{Duration, Instant};

use devstack::{DevStack, Fault, Options};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use tokio::runtime::Handle;

/// A test that waits for longer than this fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// A crashed broker restarts after this time.
pub(crate) const AWAY: Duration = Duration::from_millis(50);
/// The topic of a test, with one partition.
pub(crate) const TOPIC: &str = "topic";

/// A stack in memory with [`TOPIC`].
pub(crate) async fn stack() -> DevStack {
    stack_with(Options::default()).await
}

/// A stack with [`TOPIC`], which may exist already.
pub(crate) async fn stack_with(options: Options) -> DevStack {
    let stack = DevStack::start(options).unwrap();
    let admin: AdminClient<DefaultClientContext> = client(&stack, &[]);
    let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1));
    admin.create_topics([&topic], &AdminOptions::new()).await.unwrap();
    stack
}

/// A client whose name is `test`, unless `settings` say otherwise.
pub(crate) fn client<T: FromClientConfig>(stack: &DevStack, settings: &[(&str, &str)]) -> T {
    config(stack, settings).create().unwrap()
}

/// The settings of such a client.
pub(crate) fn config(stack: &DevStack, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", stack.bootstrap_servers()).set("client.id", "test");
    config.set("reconnect.backoff.ms", "10").set("reconnect.backoff.max.ms", "50");
    config.set("retry.backoff.ms", "10").set("linger.ms", "0");
    // Lost connections are expected, so they are not logged.
    config
        .set("log.connection.close", "false")
        .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config
}

/// An idempotent producer.
pub(crate) fn idempotent(stack: &DevStack) -> FutureProducer {
    client(stack, &[("enable.idempotence", "true")])
}

/// Writes a value to [`TOPIC`]; returns its offset when it is acknowledged.
pub(crate) async fn send(producer: &FutureProducer, value: &str) -> KafkaResult<i64> {
    let record = FutureRecord::<str, str>::to(TOPIC).payload(value);
    let delivery = producer.send(record, DEADLINE).await;
    delivery.map(|delivery| delivery.offset).map_err(|(error, _)| error)
}

/// The committed values in [`TOPIC`], in their order.
pub(crate) fn values(stack: &DevStack) -> Vec<String> {
    let settings = [("group.id", "reader"), ("enable.partition.eof", "true")];
    let consumer: BaseConsumer = client(stack, &settings);
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(TOPIC, 0, Offset::Beginning).unwrap();
    consumer.assign(&assignment).unwrap();
    let mut values = Vec::new();
    let end = Instant::now() + DEADLINE;
    loop {
        assert!(Instant::now() < end, "not read to the end within {DEADLINE:?}");
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => values.push(text(&message)),
            Some(Err(KafkaError::PartitionEOF(_))) => return values,
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
}

/// The value of a record.
pub(crate) fn text(message: &impl Message) -> String {
    String::from_utf8(message.payload().unwrap().to_vec()).unwrap()
}

/// The offset after the last record of [`TOPIC`], markers of transactions included.
pub(crate) fn end(stack: &DevStack) -> i64 {
    let consumer: BaseConsumer = client(stack, &[]);
    consumer.fetch_watermarks(TOPIC, 0, DEADLINE).unwrap().1
}

/// The offset that `group` has committed for [`TOPIC`].
pub(crate) fn committed(stack: &DevStack, group: &str) -> Offset {
    let consumer: BaseConsumer = client(stack, &[("group.id", group)]);
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition(TOPIC, 0);
    let offsets = consumer.committed_offsets(partitions, DEADLINE).unwrap();
    offsets.elements()[0].offset()
}

/// The faults that leave a client without an answer.
pub(crate) fn broken_requests() -> [Fault; 4] {
    [Fault::lose_answer(), Fault::disconnect(), Fault::crash_before(AWAY), Fault::crash_after(AWAY)]
}

/// Runs `case` with each of the faults, all in parallel, because they mostly wait.
///
/// # Panics
///
/// If a case panics. The message names its fault.
pub(crate) fn all_at_once(
    faults: impl IntoIterator<Item = Fault>,
    case: impl AsyncFn(Fault) + Sync,
) {
    let (runtime, case) = (Handle::current(), &case);
    std::thread::scope(|scope| {
        let run = |fault: Fault| {
            let (runtime, name) = (runtime.clone(), format!("{fault:?}"));
            (name, scope.spawn(move || runtime.block_on(case(fault))))
        };
        let running: Vec<_> = faults.into_iter().map(run).collect();
        for (name, case) in running {
            assert!(case.join().is_ok(), "with {name}");
        }
    });
}
