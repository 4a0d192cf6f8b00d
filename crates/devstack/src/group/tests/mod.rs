//! Tests of the coordinator with simulated clients and a simulated clock.

mod admin;
mod harness;
mod joining;
mod leaving;
mod limits;
mod offsets;
mod properties;
mod restart;
mod static_members;
mod timeouts;
mod transactional_offsets;

use harness::World;
