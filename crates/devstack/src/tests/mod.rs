//! Tests from the bytes of a request to the bytes of its answer, without sockets.

mod advertised;
mod allocations;
mod amplification;
mod hostile;
mod lab;
mod messages;
mod mutation;
mod requests;
mod versions;
