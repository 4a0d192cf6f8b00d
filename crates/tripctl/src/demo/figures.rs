//! From what the services show Prometheus to what a person wants to see.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fleet::metrics::{Exposition, Histogram};

/// Rates and latencies are of this last time: two firings of `scheduler-cron`, with its defaults.
const SPAN: Duration = Duration::from_secs(6);

/// What all services show at one moment.
#[derive(Debug, Clone)]
pub(super) struct Readings {
    pub(super) at: Instant,
    pub(super) wall: SystemTime,
    pub(super) api: Exposition,
    pub(super) joiner: Exposition,
    pub(super) cron: Exposition,
    pub(super) looped: Exposition,
    /// Rows of the inputs that the joiner has not read; none if not known.
    pub(super) lag: Option<u64>,
}

/// The readings of the last seconds.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<Readings>);

/// Something that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Count {
    /// Lately.
    pub(super) per_second: f64,
    /// Since the start.
    pub(super) total: u64,
}

/// Durations in milliseconds that half, and 99 of 100, don't exceed; lately.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Latency {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

/// What the view shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Figures {
    /// Requests of the schedulers that ended.
    pub(super) requests: Count,
    pub(super) requests_failed: u64,
    pub(super) requests_in_flight: u64,
    /// Trips that Kafka has acknowledged.
    pub(super) written: Count,
    pub(super) records_failed: u64,
    pub(super) records_in_flight: u64,
    pub(super) joined: Count,
    /// Trips that wait for rows.
    pub(super) open: u64,
    pub(super) unmatched: u64,
    pub(super) rejected: u64,
    pub(super) duplicates: u64,
    /// The joiner's, committed.
    pub(super) transactions: Count,
    pub(super) aborted: u64,
    /// Rows of the inputs that the joiner has not committed; none if not known.
    pub(super) lag: Option<u64>,
    /// The least of the joiner's tasks, in seconds since 1970, and how far it is behind the clock.
    pub(super) watermark: Option<(i64, Duration)>,
    pub(super) loop_latency: Option<Latency>,
    pub(super) cron_latency: Option<Latency>,
    pub(super) api_latency: Option<Latency>,
    pub(super) commit_latency: Option<Latency>,
}

/// The route that the schedulers ask.
const ROUTE: (&str, &str) = ("route", "/api/generate-multiple-trips");

impl History {
    pub(super) fn push(&mut self, readings: Readings) {
        while self.0.get(1).is_some_and(|second| readings.at - second.at >= SPAN) {
            self.0.pop_front();
        }
        self.0.push_back(readings);
    }

    /// What the last reading shows, and how it has changed over the history. None before the first.
    pub(super) fn figures(&self) -> Option<Figures> {
        let (then, now) = (self.0.front()?, self.0.back()?);
        let seconds = (now.at - then.at).as_secs_f64();
        let count = |of: &dyn Fn(&Readings) -> u64| {
            let total = of(now);
            let more = total.saturating_sub(of(then)) as f64;
            Count { per_second: if seconds > 0.0 { more / seconds } else { 0.0 }, total }
        };
        let latency = |of: &dyn Fn(&Readings) -> Histogram| latency(&of(now).since(&of(then)));
        Some(Figures {
            requests: count(&|readings| of_schedulers(readings, REQUESTS, &[])),
            requests_failed: of_schedulers(now, REQUESTS, &[])
                - of_schedulers(now, REQUESTS, &[("outcome", "succeeded")]),
            requests_in_flight: of_schedulers(now, "tripstream_scheduler_in_flight", &[]),
            written: count(&|readings| records(readings, "delivered") / 3),
            records_failed: records(now, "failed"),
            records_in_flight: whole(now.api.sum("tripstream_api_records_in_flight", &[])),
            joined: count(&|readings| {
                whole(readings.joiner.sum("tripstream_joiner_joined_total", &[]))
            }),
            open: whole(now.joiner.sum("tripstream_joiner_open_entries", &[])),
            unmatched: whole(now.joiner.sum("tripstream_joiner_unmatched_total", &[])),
            rejected: whole(now.joiner.sum("tripstream_joiner_rejected_total", &[])),
            duplicates: whole(
                now.joiner.sum("tripstream_joiner_rows_total", &[("fate", "duplicate")]),
            ),
            transactions: count(&|readings| transactions(readings, "committed")),
            aborted: transactions(now, "aborted"),
            lag: now.lag,
            watermark: watermark(now),
            loop_latency: latency(&|r| r.looped.histogram(SCHEDULER_LATENCY, &[])),
            cron_latency: latency(&|r| r.cron.histogram(SCHEDULER_LATENCY, &[])),
            api_latency: latency(&|r| {
                r.api.histogram("tripstream_api_request_duration_seconds", &[ROUTE])
            }),
            commit_latency: latency(&|r| {
                r.joiner.histogram("tripstream_joiner_commit_seconds", &[])
            }),
        })
    }
}

const REQUESTS: &str = "tripstream_scheduler_requests_total";
const SCHEDULER_LATENCY: &str = "tripstream_scheduler_latency_seconds";

fn whole(value: Option<f64>) -> u64 {
    value.map_or(0, |value| value.max(0.0) as u64)
}

fn of_schedulers(readings: &Readings, name: &str, labels: &[(&str, &str)]) -> u64 {
    whole(readings.looped.sum(name, labels)) + whole(readings.cron.sum(name, labels))
}

fn records(readings: &Readings, result: &str) -> u64 {
    whole(readings.api.sum("tripstream_api_records_total", &[("result", result)]))
}

fn transactions(readings: &Readings, outcome: &str) -> u64 {
    whole(readings.joiner.sum("tripstream_joiner_transactions_total", &[("outcome", outcome)]))
}

fn watermark(readings: &Readings) -> Option<(i64, Duration)> {
    let seconds = readings.joiner.min("tripstream_joiner_watermark_seconds")?;
    let at = UNIX_EPOCH + Duration::try_from_secs_f64(seconds).ok()?;
    Some((seconds as i64, readings.wall.duration_since(at).unwrap_or_default()))
}

fn latency(histogram: &Histogram) -> Option<Latency> {
    let ms = |q| Some(histogram.quantile(q)? * 1_000.0);
    Some(Latency { p50_ms: ms(0.5)?, p99_ms: ms(0.99)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_348_800;

    fn readings(start: Instant, second: u64, trips: u64) -> Readings {
        let rows = trips * 3;
        let api = format!(
            "tripstream_api_records_total{{topic=\"a\",result=\"delivered\"}} {rows}\n\
             tripstream_api_records_total{{topic=\"a\",result=\"failed\"}} 2\n\
             tripstream_api_records_in_flight 5\n\
             tripstream_api_request_duration_seconds_bucket{{le=\"0.002\",route=\"/metrics\"}} 99\n\
             tripstream_api_request_duration_seconds_bucket{{le=\"+Inf\",route=\"/metrics\"}} 99\n"
        );
        let joiner = format!(
            "tripstream_joiner_joined_total {trips}\n\
             tripstream_joiner_rows_total{{side=\"trip\",fate=\"taken\"}} {trips}\n\
             tripstream_joiner_rows_total{{side=\"trip\",fate=\"duplicate\"}} 4\n\
             tripstream_joiner_unmatched_total{{reason=\"window_expired\"}} 1\n\
             tripstream_joiner_rejected_total{{reason=\"late\"}} 2\n\
             tripstream_joiner_transactions_total{{outcome=\"committed\"}} {}\n\
             tripstream_joiner_transactions_total{{outcome=\"aborted\"}} 1\n\
             tripstream_joiner_open_entries{{task=\"0\"}} 3\n\
             tripstream_joiner_open_entries{{task=\"1\"}} 4\n\
             tripstream_joiner_watermark_seconds{{task=\"0\"}} {NOW}\n\
             tripstream_joiner_watermark_seconds{{task=\"1\"}} {}\n",
            second * 10,
            NOW - 5,
        );
        let scheduler = format!(
            "tripstream_scheduler_requests_total{{outcome=\"succeeded\"}} {trips}\n\
             tripstream_scheduler_requests_total{{outcome=\"timeout\"}} 1\n\
             tripstream_scheduler_in_flight 1\n\
             tripstream_scheduler_latency_seconds_bucket{{le=\"0.004\"}} {trips}\n\
             tripstream_scheduler_latency_seconds_bucket{{le=\"+Inf\"}} {trips}\n"
        );
        Readings {
            at: start + Duration::from_secs(second),
            wall: UNIX_EPOCH + Duration::from_secs(NOW),
            api: Exposition::parse(&api),
            joiner: Exposition::parse(&joiner),
            cron: Exposition::default(),
            looped: Exposition::parse(&scheduler),
            lag: Some(9),
        }
    }

    #[test]
    fn figures_come_from_the_last_reading_and_rates_from_the_last_seconds() {
        let mut history = History::default();
        assert_eq!(history.figures(), None);
        let start = Instant::now();
        // 100 trips a second at first, then 10: after a while only these count.
        for (second, trips) in [(0, 0), (1, 100), (2, 110), (4, 130), (6, 150), (8, 170)] {
            history.push(readings(start, second, trips));
        }
        let figures = history.figures().expect("readings");
        assert_eq!(figures.written, Count { per_second: 10.0, total: 170 });
        assert_eq!(figures.joined, Count { per_second: 10.0, total: 170 });
        assert_eq!(figures.transactions, Count { per_second: 10.0, total: 80 });
        assert_eq!((figures.requests.total, figures.requests_failed), (171, 1));
        assert_eq!((figures.requests_in_flight, figures.records_in_flight), (1, 5));
        assert_eq!((figures.open, figures.unmatched, figures.rejected), (7, 1, 2));
        assert_eq!((figures.duplicates, figures.records_failed, figures.aborted), (4, 2, 1));
        assert_eq!(figures.lag, Some(9));
        assert_eq!(figures.watermark, Some((NOW as i64 - 5, Duration::from_secs(5))));
        assert_eq!(figures.loop_latency.map(|latency| latency.p50_ms), Some(2.0));
        assert_eq!((figures.cron_latency, figures.api_latency), (None, None));
    }

    #[test]
    fn services_that_show_nothing_yet_are_at_zero() {
        let mut history = History::default();
        let nothing = Exposition::default;
        history.push(Readings {
            at: Instant::now(),
            wall: SystemTime::now(),
            api: nothing(),
            joiner: nothing(),
            cron: nothing(),
            looped: nothing(),
            lag: None,
        });
        assert_eq!(history.figures(), Some(Figures::default()));
    }
}
