//! Tests of the way from the bytes of a frame to those of its answer, without sockets.

mod allocations;
mod amplification;
mod hostile;
mod lab;
mod mutation;
mod requests;
mod versions;
