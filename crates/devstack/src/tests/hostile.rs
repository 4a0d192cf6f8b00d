//! Arbitrary bytes as requests. Each is answered, refused or waits, without a panic, without an answer that can't be
//! encoded, and without much memory.
//!
//! `TRIPSTREAM_TEST_CASES=1000000 cargo test -p devstack --release --lib hostile` runs that many cases.

use std::cell::{Cell, RefCell};

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::allocations::most_held_by;
use super::lab::{Fate, Lab, decode, encode, header};
use super::mutation::{Mutation, mutation};
use super::requests::{Choice, request};
use crate::wire::{SERVED, WireError};

/// The memory that one request may take, including reserved memory: in versions without compact lengths, an array
/// reserves up to 2^20 elements of about 100 bytes, and the list in its first element as many again.
const MOST_HELD: usize = 256 << 20;
/// So many requests share one broker, so that they meet the state that earlier ones have left.
const REQUESTS_A_BROKER: usize = 500;

fn cases() -> u32 {
    let cases = std::env::var("TRIPSTREAM_TEST_CASES").ok();
    cases.map_or(30_000, |cases| cases.parse().unwrap())
}

/// The input of a case.
#[derive(Debug, Clone)]
enum HostileInput {
    /// A request, with changes.
    Request { api: ApiKey, version: i16, seed: u64, changes: Vec<Mutation> },
    /// A valid header with an arbitrary body.
    Body { api: ApiKey, version: i16, body: Vec<u8> },
    /// Arbitrary bytes.
    Bytes(Vec<u8>),
}

fn served() -> impl Strategy<Value = (ApiKey, i16)> {
    let each =
        SERVED.iter().flat_map(|&(api, min, max)| (min..=max).map(move |version| (api, version)));
    prop::sample::select(each.collect::<Vec<_>>())
}

fn input() -> impl Strategy<Value = HostileInput> {
    prop_oneof![
        8 => (served(), any::<u64>(), vec(mutation(), 0..4)).prop_map(
            |((api, version), seed, changes)| HostileInput::Request { api, version, seed, changes }
        ),
        1 => (served(), vec(any::<u8>(), 0..200))
            .prop_map(|((api, version), body)| HostileInput::Body { api, version, body }),
        1 => vec(any::<u8>(), 0..100).prop_map(HostileInput::Bytes),
    ]
}

impl HostileInput {
    fn frame(&self) -> Bytes {
        match self {
            &Self::Request { api, version, seed, ref changes } => {
                let body = request(api, version, &mut Choice::new(seed));
                let mut bytes = encode(version, &body).1.to_vec();
                for change in changes {
                    change.apply(&mut bytes);
                }
                bytes.into()
            }
            Self::Body { api, version, body } => {
                let mut frame = header(*api as i16, *version);
                if api.request_header_version(*version) == 2 {
                    frame.extend_from_slice(&[0]);
                }
                frame.extend_from_slice(body);
                frame.freeze()
            }
            Self::Bytes(bytes) => bytes.clone().into(),
        }
    }
}

/// A broker, and the number of requests that it got.
type Current = RefCell<(Lab, usize)>;

fn meet(current: &Current, input: &HostileInput) -> Result<(usize, bool), TestCaseError> {
    let (lab, met) = &mut *current.borrow_mut();
    if *met == REQUESTS_A_BROKER {
        (*lab, *met) = (Lab::new(), 0);
    }
    *met += 1;
    let frame = input.frame();
    let (fate, held) = most_held_by(|| lab.meet(frame));
    prop_assert!(held <= MOST_HELD, "{held} bytes were held");
    prop_assert!(!matches!(fate, Fate::Refused(WireError::Unwritable { .. })), "{fate:?}");
    let is_answered = matches!(fate, Fate::Answered(_));
    if let &HostileInput::Request { api, version, ref changes, .. } = input
        && changes.is_empty()
    {
        match fate {
            Fate::Answered(answer) => drop(decode(api, version, &answer)),
            // The only way to report an error to a producer that wants no answer.
            Fate::Refused(WireError::Unanswered { .. }) | Fate::Unanswered | Fate::Waits => {}
            Fate::Refused(error) => prop_assert!(false, "{error}"),
        }
    }
    Ok((held, is_answered))
}

#[test]
#[expect(clippy::print_stderr, reason = "the figures of a long run")]
fn hostile_frames_are_answered_or_refused_within_bounds() {
    let current = RefCell::new((Lab::new(), 0));
    let (most, answered) = (RefCell::new((0, None)), Cell::new(0));
    let config = Config { cases: cases(), failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&input(), |input| {
        let (held, is_answered) = meet(&current, &input)?;
        answered.set(answered.get() + u32::from(is_answered));
        let mut most = most.borrow_mut();
        if held > most.0 {
            *most = (held, Some(input));
        }
        Ok(())
    });
    if std::env::var_os("TRIPSTREAM_TEST_CASES").is_some() {
        let (held, by) = &*most.borrow();
        eprintln!(
            "{} of {} cases answered; at most {held} bytes held, by {by:?}",
            answered.get(),
            cases()
        );
    }
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    // Many inputs are similar enough to a request to be decoded.
    assert!(answered.get() > cases() / 4, "{answered:?} of {} cases were answered", cases());
}
