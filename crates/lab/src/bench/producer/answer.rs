//! Whether an answer is what was asked for.

use memchr::memmem;
use models::records::CompleteTrip;

/// Each trip of an answer has this once. No value has it: there, a quote is escaped.
const ONCE_A_TRIP: &[u8] = br#""trip_data":"#;
/// How much of a wrong answer is shown.
const SHOWN_BYTES: usize = 300;

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
}

/// How an answer is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Its status and how many trips it has: what can be done for each answer and costs next to nothing.
    Counted,
    /// Every trip is read.
    Read,
}

/// Checks that `answer` has `trips` trips; says what is wrong if not.
pub(super) fn check(answer: Answer<'_>, trips: u32, depth: Depth) -> Result<(), String> {
    let shown = || String::from_utf8_lossy(&answer.body[..answer.body.len().min(SHOWN_BYTES)]);
    if answer.status != 200 {
        return Err(format!("status {}: {}", answer.status, shown()));
    }
    let found = match depth {
        Depth::Counted => memmem::find_iter(answer.body, ONCE_A_TRIP).count(),
        Depth::Read => {
            let found: Vec<CompleteTrip> = serde_json::from_slice(answer.body)
                .map_err(|error| format!("no array of trips: {error}: {}", shown()))?;
            if let Some(trip) = found.iter().find(|trip| !is_one_trip(trip)) {
                return Err(format!("rows of different trips together: {trip:?}"));
            }
            found.len()
        }
    };
    if found == trips as usize { Ok(()) } else { Err(format!("{found} trips instead of {trips}")) }
}

fn is_one_trip(trip: &CompleteTrip) -> bool {
    let CompleteTrip { trip_id, trip_data, driver_earning_data, rider_data } = trip;
    !trip_id.is_empty()
        && [&trip_data.trip_id, &driver_earning_data.trip_id, &rider_data.trip_id]
            .iter()
            .all(|id| *id == trip_id)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use generator::Generator;

    use super::*;

    fn trips(number: u64) -> Vec<CompleteTrip> {
        let completion = DateTime::from_timestamp(1_795_389_229, 0).expect("in range");
        (0..number).map(|index| Generator::new(1).complete_trip(index, completion)).collect()
    }

    fn wrong(body: &[u8], trips: u32, depth: Depth) -> Option<String> {
        check(Answer { status: 200, body }, trips, depth).err()
    }

    #[test]
    fn what_was_asked_for_passes_and_anything_else_is_told() {
        let three = serde_json::to_vec(&trips(3)).expect("JSON");
        for depth in [Depth::Counted, Depth::Read] {
            assert_eq!(wrong(&three, 3, depth), None);
            assert_eq!(wrong(&three, 4, depth).as_deref(), Some("3 trips instead of 4"));
            let refused = check(Answer { status: 503, body: b"{}" }, 3, depth);
            assert_eq!(refused, Err("status 503: {}".to_owned()));
        }
        assert!(wrong(&three[1..], 3, Depth::Read).expect("no JSON").contains("no array"));
        let mut mixed = trips(2);
        mixed[1].rider_data.trip_id = mixed[0].trip_id.clone();
        let mixed = serde_json::to_vec(&mixed).expect("JSON");
        assert!(wrong(&mixed, 2, Depth::Read).expect("mixed").contains("different trips"));
    }
}
