//! The figures laid out for a terminal, or as one line.
//!
//! What matters most stands furthest to the left: a narrow terminal shows the beginning of each line.

use std::time::Duration;

use chrono::DateTime;

use super::figures::{Count, Figures, Latency};

/// What stands above the figures.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heading<'a> {
    /// Which Kafka it is, in words.
    pub(super) place: &'a str,
    /// How long trips have been asked for.
    pub(super) elapsed: Duration,
    /// How long they will be, if that is settled.
    pub(super) limit: Option<Duration>,
}

const UNKNOWN: &str = "-";

/// The lines of the live view.
pub(super) fn frame(heading: &Heading<'_>, figures: &Figures) -> Vec<String> {
    let Heading { place, elapsed, limit } = heading;
    let time = match limit {
        Some(limit) => format!("{} of {} s", elapsed.as_secs(), limit.as_secs()),
        None => format!("{} s, until Ctrl-C", elapsed.as_secs()),
    };
    let f = figures;
    let counts = [
        (
            "requests",
            f.requests,
            format!("{} in flight, {} failed", f.requests_in_flight, f.requests_failed),
        ),
        (
            "trips written",
            f.written,
            format!("{} records in flight, {} failed", f.records_in_flight, f.records_failed),
        ),
        (
            "trips joined",
            f.joined,
            format!(
                "{} open, {} unmatched; {} rows rejected, {} duplicate",
                f.open, f.unmatched, f.rejected, f.duplicates
            ),
        ),
        ("transactions", f.transactions, format!("{} aborted", f.aborted)),
    ];
    let latencies = [
        ("scheduler-loop", f.loop_latency),
        ("scheduler-cron", f.cron_latency),
        ("producer-api", f.api_latency),
        ("joiner's commit", f.commit_latency),
    ];
    let mut lines = vec![
        format!("tripstream demo   {time}   {place}"),
        String::new(),
        format!("{:<16}{:>9}{:>10}", "", "a second", "total"),
    ];
    lines.extend(counts.map(|(name, Count { per_second, total }, rest)| {
        format!("{name:<16}{per_second:>9.1}{total:>10}   {rest}")
    }));
    lines.push(String::new());
    lines.push(format!("{:<16}{:>9} rows", "consumer lag", or_unknown(f.lag)));
    lines.push(match f.watermark {
        Some((at, behind)) => {
            format!("{:<16}{:>9} s behind   {}", "watermark", behind.as_secs(), clock(at))
        }
        None => format!("{:<16}{UNKNOWN:>9}", "watermark"),
    });
    lines.push(String::new());
    lines.push(format!("{:<16}{:>9}{:>10}", "latency, ms", "p50", "p99"));
    lines.extend(latencies.map(|(name, latency)| {
        let [p50, p99] = quantiles(latency);
        format!("{name:<16}{p50:>9}{p99:>10}")
    }));
    lines
}

/// The same in short.
pub(super) fn line(heading: &Heading<'_>, figures: &Figures) -> String {
    let f = figures;
    let [p50, p99] = quantiles(f.api_latency);
    let behind = f.watermark.map(|(_, behind)| behind.as_secs());
    format!(
        "{:>4} s  written {} ({:.1}/s)  joined {} ({:.1}/s)  open {}  unmatched {}  rejected {}  in flight {}  lag {}  \
         watermark {} s behind  API p50 {p50} p99 {p99} ms",
        heading.elapsed.as_secs(),
        f.written.total,
        f.written.per_second,
        f.joined.total,
        f.joined.per_second,
        f.open,
        f.unmatched,
        f.rejected,
        f.requests_in_flight,
        or_unknown(f.lag),
        or_unknown(behind),
    )
}

fn or_unknown(number: Option<u64>) -> String {
    number.map_or(UNKNOWN.to_owned(), |number| number.to_string())
}

fn quantiles(latency: Option<Latency>) -> [String; 2] {
    latency.map_or([UNKNOWN.to_owned(), UNKNOWN.to_owned()], |Latency { p50_ms, p99_ms }| {
        [p50_ms, p99_ms].map(|ms| format!("{ms:.1}"))
    })
}

fn clock(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0)
        .map_or_else(String::new, |at| at.format("%H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        let count = |per_second, total| Count { per_second, total };
        let latency = |p50_ms, p99_ms| Some(Latency { p50_ms, p99_ms });
        Figures {
            requests: count(10.33, 124),
            requests_failed: 0,
            requests_in_flight: 2,
            written: count(39.87, 478),
            records_failed: 0,
            records_in_flight: 9,
            joined: count(39.64, 475),
            open: 3,
            unmatched: 0,
            rejected: 0,
            duplicates: 0,
            transactions: count(9.8, 118),
            aborted: 0,
            lag: Some(9),
            watermark: Some((1_795_348_800, Duration::from_millis(1_900))),
            loop_latency: latency(7.06, 37.48),
            cron_latency: None,
            api_latency: latency(2.1, 7.8),
            commit_latency: latency(4.04, 12.0),
        }
    }

    fn heading(limit: Option<u64>) -> Heading<'static> {
        Heading {
            place: "the dev stack at 127.0.0.1:41234",
            elapsed: Duration::from_millis(12_600),
            limit: limit.map(Duration::from_secs),
        }
    }

    #[test]
    fn the_frame_shows_all_figures() {
        insta::assert_snapshot!(frame(&heading(Some(20)), &figures()).join("\n"));
    }

    #[test]
    fn what_is_not_known_yet_is_shown_as_such() {
        insta::assert_snapshot!(frame(&heading(None), &Figures::default()).join("\n"));
    }

    #[test]
    fn without_a_terminal_it_is_one_line() {
        insta::assert_snapshot!(line(&heading(None), &figures()));
    }
}
