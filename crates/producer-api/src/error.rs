//! Why the service can't start or has to end.

use avro_schemas::RegistryError;
use kafka::topics::TopicError;
use rdkafka::error::KafkaError;

/// A failure that ends the service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The section `[producer]` can't work.
    #[error(transparent)]
    Config(#[from] service::ConfigError),
    /// The address can't be taken, or told in the ports file.
    #[error(transparent)]
    Bind(std::io::Error),
    /// The HTTP server failed or ended by itself.
    #[error("serving the API")]
    Serve(#[source] std::io::Error),
    /// The section `[kafka]` can't work.
    #[error(transparent)]
    KafkaConfig(#[from] kafka::ConfigError),
    /// The health probe can't be made.
    #[error(transparent)]
    Probe(#[from] kafka::probe::ProbeError),
    /// The topics can't be had, and waiting doesn't help.
    #[error("preparing the topics")]
    Topics(#[source] TopicError),
    /// The schemas can't be registered, and waiting doesn't help.
    #[error("registering the schemas")]
    Registry(#[source] RegistryError),
    /// librdkafka refuses the producer's configuration.
    #[error("creating the Kafka producer; see kafka.properties")]
    Producer(#[source] KafkaError),
    /// The producer can't go on: a broker fenced it off, or it lost track of what was written.
    #[error("the Kafka producer failed for good: {0}; start the service again")]
    ProducerFailed(String),
    /// The topic of idempotency keys can't be had, and waiting doesn't help.
    #[error(
        "preparing the topic of idempotency keys; to do without, set producer.idempotency_topic to \"\""
    )]
    KeysTopic(#[source] TopicError),
    /// The operating system refuses a thread.
    #[error("starting a thread for transactions")]
    Thread(#[source] std::io::Error),
    /// A thread that writes transactions is gone.
    #[error("the thread that writes transactions panicked; start the service again")]
    WriterEnded,
    /// Time ran out with records on their way.
    #[error(
        "{0} records were still on their way to Kafka when time ran out; their requests were not answered with 200"
    )]
    Undecided(u64),
}
