//! Injected faults, as a Kafka client sees them: librdkafka recovers like with Apache Kafka, and no record is lost or
//! duplicated.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod clients;
mod crashes;
mod groups;
mod records;
mod transactions;
