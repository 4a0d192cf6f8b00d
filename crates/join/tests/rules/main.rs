//! The rules of the join, seen from outside: tables that tell a story row by row, and properties.

#![expect(
    clippy::unwrap_used,
    reason = "a test that finds something else than it needs has failed"
)]

mod against_model;
mod bounds;
mod changelog;
mod cluster;
mod matching;
mod model;
mod properties;
mod published;
mod readme;
mod story;
mod watermarks;
