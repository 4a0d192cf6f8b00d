//! What a run comes to, in figures that can be compared.

use std::time::Duration;

use trip_client::TickOutcome;

use super::plot::Fates;
use super::run::Run;
use super::scenario::Scenario;
use crate::number::three_digits;

/// A scheduler is taken to have started by then: what it uses before is not for its work.
const WARM: Duration = Duration::from_secs(1);

/// What became of the trips that the load asks for. A schedule that is a tick ahead has asked for more.
pub(super) fn fates(run: &Run, scenario: &Scenario) -> Fates {
    let counts = &run.report.counts;
    let trips = f64::from(run.contender.trips());
    let due = counts.scheduled as f64 * trips;
    let all = scenario.asked().max(due);
    let not_started = counts.skipped_total() + counts.dropped_at_shutdown;
    let confirmed = counts.trips.confirmed as f64;
    Fates {
        confirmed: confirmed / all,
        failed: (counts.trips.requested as f64 - confirmed) / all,
        skipped: not_started as f64 * trips / all,
        never_due: (all - due) / all,
    }
}

/// When how many trips were confirmed: seconds since the scenario's beginning, in order.
pub(super) fn confirmations(run: &Run) -> Vec<(f64, u32)> {
    let confirmed = run.ticks.iter().filter(|tick| tick.outcome == TickOutcome::Ok);
    let mut times: Vec<_> = confirmed
        .filter_map(|tick| {
            Some((run.offset_s + tick.finished_ms? / 1_000.0, run.contender.trips()))
        })
        .collect();
    times.sort_by(|left, right| left.0.total_cmp(&right.0));
    times
}

/// Milliseconds of CPU time that it used in a second once it had started.
pub(super) fn cpu_ms_per_s(run: &Run) -> Option<f64> {
    let mut used = run.usage.iter().filter_map(|(at, usage)| Some((*at, usage.cpu_s?)));
    let (from, before) = used.find(|(at, _)| *at >= WARM)?;
    let (to, after) = used.next_back()?;
    Some((after - before) * 1_000.0 / to.saturating_sub(from).as_secs_f64())
}

/// The most memory it had at once, in MB.
pub(super) fn peak_memory_mb(run: &Run) -> Option<f64> {
    let peaks = run.usage.iter().filter_map(|(_, usage)| usage.peak_memory_bytes);
    peaks.max().map(|bytes| bytes as f64 / 1e6)
}

/// The mean time from the start of a request to that of the next.
pub(super) fn real_period(run: &Run) -> Option<Duration> {
    let mut starts: Vec<f64> = run.ticks.iter().filter_map(|tick| tick.started_ms).collect();
    starts.sort_by(f64::total_cmp);
    let (first, last) = (starts.first()?, starts.last()?);
    let steps = starts.len().checked_sub(1).filter(|steps| *steps > 0)?;
    Some(Duration::from_secs_f64((last - first).max(0.0) / 1_000.0 / steps as f64))
}

/// How long after `at_s` the next request was confirmed, whenever it had started; seconds.
pub(super) fn recovery(run: &Run, at_s: f64) -> Option<f64> {
    let confirmed = run.ticks.iter().filter(|tick| tick.outcome == TickOutcome::Ok);
    confirmed
        .filter_map(|tick| tick.finished_ms)
        .map(|finished| run.offset_s + finished / 1_000.0 - at_s)
        .filter(|after| *after >= 0.0)
        .min_by(f64::total_cmp)
}

/// The same figure of each round, as the median and the spread: `12 (11–14)`. Only one number if the rounds do not differ;
/// a dash if no round has it, and in how many it is if some do not.
pub(super) fn median_and_spread(
    rounds: impl ExactSizeIterator<Item = Option<f64>>,
    text: fn(f64) -> String,
) -> String {
    let all = rounds.len();
    let mut values: Vec<f64> = rounds.flatten().collect();
    values.sort_by(f64::total_cmp);
    let (Some(min), Some(max)) = (values.first(), values.last()) else { return "-".to_owned() };
    let middle = values.len() / 2;
    let median = if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    };
    let [median, min, max] = [median, *min, *max].map(text);
    // A dash before a minus would be hard to read.
    let to = if min.starts_with('-') { " to " } else { "–" };
    let mut cell = if min == max { median } else { format!("{median} ({min}{to}{max})") };
    if values.len() < all {
        cell = format!("{cell} in {} of {all}", values.len());
    }
    cell
}

/// A time with three digits and its unit.
pub(super) fn time(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1_000.0;
    if ms >= 999.5 {
        return format!("{} s", three_digits(ms / 1_000.0));
    }
    format!("{} ms", three_digits(ms))
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use fleet::Usage;

    #[test]
    fn the_fates_of_all_trips_are_one_whole() {
        let outcome = samples::outcome();
        for run in &outcome.runs {
            let Fates { confirmed, failed, skipped, never_due } = fates(run, &outcome.scenario);
            let parts = [confirmed, failed, skipped, never_due];
            assert!((parts.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{parts:?}");
            assert!(parts.iter().all(|part| (0.0..=1.0).contains(part)), "{parts:?}");
        }
    }

    #[test]
    fn cpu_time_counts_from_when_the_scheduler_works() {
        let mut run = samples::outcome().runs.remove(0);
        let used = |ms, cpu_s| {
            (
                Duration::from_millis(ms),
                Usage { peak_memory_bytes: Some(ms * 1_000), cpu_s: Some(cpu_s) },
            )
        };
        run.usage = vec![used(0, 0.0), used(900, 0.5), used(1_000, 0.6), used(3_000, 0.7)];
        let cpu = cpu_ms_per_s(&run).expect("measured");
        assert!((cpu - 50.0).abs() < 1e-6, "{cpu}");
        assert_eq!(peak_memory_mb(&run), Some(3.0));
        run.usage.truncate(2);
        assert_eq!(cpu_ms_per_s(&run), None);
    }

    #[test]
    fn several_rounds_have_a_median_and_a_spread() {
        for (values, text) in [
            (&[None, None][..], "-"),
            (&[Some(5.0)], "5"),
            (&[Some(5.0), Some(5.001)], "5"),
            (&[Some(30.0), Some(10.0), Some(20.0)], "20 (10–30)"),
            (&[Some(4.0), Some(1.0), Some(3.0), Some(2.0)], "2.5 (1–4)"),
            (&[Some(-1.0), Some(-3.0), Some(0.0)], "-1 (-3 to 0)"),
            (&[Some(4.0), None, Some(2.0)], "3 (2–4) in 2 of 3"),
        ] {
            assert_eq!(median_and_spread(values.iter().copied(), three_digits), text);
        }
    }

    #[test]
    fn times_have_their_units() {
        let times = [
            (1, "0 ms"),
            (420, "0.42 ms"),
            (12_340, "12.3 ms"),
            (512_400, "512 ms"),
            (2_033_000, "2.03 s"),
            (20_040_000, "20 s"),
        ];
        for (us, text) in times {
            assert_eq!(time(Duration::from_micros(us)), text);
        }
    }
}
