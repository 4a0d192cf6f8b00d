//! What a run has found, as text and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use trip_client::Timings;

use super::load::Load;
use crate::bench::table::{line, megabytes, seconds};
use crate::number::thousands;
use fleet::Usage;

/// What the latencies leave out.
pub(in crate::bench) const CLOSED_LOOP: &str = "\
The clients are a closed loop: each asks again when it has its answer. A slow answer delays the next request, so the wait
that users who do not wait for each other would see is not counted.
";

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Under what circumstances.
    pub machine: Machine,
    /// The API, a process of its own, under each load. The last is that of large requests.
    pub loads: Vec<Figures>,
    /// librdkafka with the same rows and no HTTP; absent if it was not asked for.
    pub limit: Option<Limit>,
    /// The trips a second of large requests as a part of the limit's.
    pub ratio: Option<f64>,
}

/// What the figures depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// Whether the programs are built to be fast. The API is taken to be built as this program is.
    pub optimized: bool,
    /// Partitions of the topics.
    pub partitions: [i32; 3],
    /// The brokers.
    pub kafka: String,
}

/// How fast the API was under a load, and what that took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// The load.
    #[serde(flatten)]
    pub load: Load,
    /// How long it was measured.
    pub seconds: f64,
    /// Answers in that time, all of them 200 and complete.
    pub requests: u64,
    /// Answers a second.
    pub requests_per_s: f64,
    /// Trips a second.
    pub trips_per_s: f64,
    /// From the first byte of a request to the last of its answer, in a closed loop.
    pub latency_ms: Latency,
    /// Seconds of CPU time that the API used meanwhile.
    pub cpu_s: Option<f64>,
    /// The most memory that the API has had so far.
    pub peak_memory_bytes: Option<u64>,
    /// Seconds of CPU time that the clients used meanwhile.
    pub client_cpu_s: Option<f64>,
}

/// Percentiles of a latency, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The 99.9th percentile.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

/// What can be written without the API.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Limit {
    /// Trips a second whose three rows were acknowledged.
    pub trips_per_s: f64,
    /// Seconds of CPU time that this took.
    pub cpu_s: Option<f64>,
    /// The most memory that this tool has had so far.
    pub peak_memory_bytes: Option<u64>,
}

impl Figures {
    pub(super) fn new(
        load: Load,
        latency: &Timings,
        elapsed: Duration,
        api: Usage,
        client: Usage,
    ) -> Self {
        let requests = latency.count();
        let requests_per_s = requests as f64 / elapsed.as_secs_f64();
        Self {
            load,
            seconds: elapsed.as_secs_f64(),
            requests,
            requests_per_s,
            trips_per_s: requests_per_s * f64::from(load.trips),
            latency_ms: Latency::of(latency),
            cpu_s: api.cpu_s,
            peak_memory_bytes: api.peak_memory_bytes,
            client_cpu_s: client.cpu_s,
        }
    }
}

impl Latency {
    fn of(latency: &Timings) -> Self {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        Self {
            p50: ms(latency.percentile(50.0)),
            p90: ms(latency.percentile(90.0)),
            p99: ms(latency.percentile(99.0)),
            p999: ms(latency.percentile(99.9)),
            max: ms(latency.max()),
        }
    }
}

impl Report {
    /// A report of what was measured; the last of `loads` is compared with the limit.
    pub(super) fn new(loads: Vec<Figures>, limit: Option<Limit>, machine: Machine) -> Self {
        let ratio = limit.zip(loads.last()).map(|(limit, api)| api.trips_per_s / limit.trips_per_s);
        Self { machine, loads, limit, ratio }
    }

    /// A table, and under what circumstances it holds.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let names = ["trips", "requests", "p50", "p99", "max", "CPU", "memory", "clients"];
        line(&mut text, "", names.map(str::to_owned));
        let units = ["/s", "/s", "ms", "ms", "ms", "s", "peak MB", "CPU s"];
        line(&mut text, "", units.map(str::to_owned));
        for figures in &self.loads {
            line(&mut text, &figures.load.to_string(), cells(figures));
        }
        if let Some(Limit { trips_per_s, cpu_s, peak_memory_bytes }) = self.limit {
            let (trips, none) = (thousands(trips_per_s), String::new);
            let (cpu, memory) = (seconds(cpu_s), megabytes(peak_memory_bytes));
            let cells = [trips, none(), none(), none(), none(), cpu, memory];
            line(&mut text, "raw limit", cells);
        }
        if let Some(ratio) = self.ratio {
            line(&mut text, "API / raw limit", [format!("{ratio:.2}")]);
        }
        let Machine { cores, optimized, partitions, kafka } = &self.machine;
        let [trips, drivers, riders] = partitions;
        let measured = self.loads.first().map_or(0.0, |figures| figures.seconds);
        let _ = writeln!(
            text,
            "\n{measured:.0} s each; {cores} cores; {trips}, {drivers} and {riders} partitions; Kafka at {kafka}",
        );
        text.push_str(CLOSED_LOOP);
        if !optimized {
            text.push_str("Built without optimisation: the figures say nothing about speed.\n");
        }
        text
    }

    /// All figures as one JSON object, without units in other names than the keys'.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("numbers and texts have a JSON form")
    }
}

fn cells(figures: &Figures) -> [String; 8] {
    let Latency { p50, p99, max, .. } = figures.latency_ms;
    let ms = |time: f64| format!("{time:.2}");
    [
        thousands(figures.trips_per_s),
        thousands(figures.requests_per_s),
        ms(p50),
        ms(p99),
        ms(max),
        seconds(figures.cpu_s),
        megabytes(figures.peak_memory_bytes),
        seconds(figures.client_cpu_s),
    ]
}

#[cfg(test)]
pub(in crate::bench) mod tests {
    use super::*;

    fn figures(trips: u32, connections: u32, latency_ms: &[u64]) -> Figures {
        let mut latency = Timings::default();
        for ms in latency_ms {
            latency.record(Duration::from_millis(*ms));
        }
        let api = Usage { peak_memory_bytes: Some(60_400_000), cpu_s: Some(1.25) };
        let client = Usage { peak_memory_bytes: None, cpu_s: None };
        let load = Load { trips, connections };
        Figures::new(load, &latency, Duration::from_secs(2), api, client)
    }

    pub(in crate::bench) fn report(limit: bool) -> Report {
        let machine = Machine {
            cores: 2,
            optimized: true,
            partitions: [3; 3],
            kafka: "localhost:9092".to_owned(),
        };
        let loads = vec![figures(1, 32, &[1, 1, 1, 4]), figures(1_000, 4, &[10; 200])];
        let usage = Limit { trips_per_s: 250_000.0, cpu_s: Some(3.0), peak_memory_bytes: None };
        Report::new(loads, limit.then_some(usage), machine)
    }

    #[test]
    fn the_table_is_aligned_and_says_what_was_not_measured() {
        insta::assert_snapshot!(report(true).to_text());
    }

    #[test]
    fn rates_are_those_of_the_time_that_was_measured() {
        let report = report(true);
        let large = report.loads.last().expect("two loads");
        assert_eq!((large.requests, large.requests_per_s, large.trips_per_s), (200, 100.0, 1e5));
        assert_eq!(report.ratio, Some(0.4));
        let json = report.to_json();
        assert_eq!(json["loads"][1]["trips"], 1_000);
        assert_eq!(json["loads"][0]["latency_ms"]["p50"], 1.0);
    }

    #[test]
    fn without_a_limit_there_is_no_ratio() {
        let alone = report(false);
        assert_eq!(alone.ratio, None);
        assert!(!alone.to_text().contains("limit"), "{}", alone.to_text());
        assert!(alone.to_json()["limit"].is_null());
    }
}
