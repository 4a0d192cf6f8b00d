//! What goes wrong on command, as a Kafka client sees it: librdkafka goes on by itself where it would with Apache
//! Kafka, and nothing is lost or doubled.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod clients;
mod crashes;
mod groups;
mod records;
mod transactions;
