//! The binary `scheduler-cron`.

use std::process::ExitCode;

use clap::Parser;
use scheduler_cron::{NAME, run_and_conclude};
use service::{CommonArgs, Override};

/// Asks the producer API for trips by the calendar: a cron expression with seconds, or an interval.
///
/// Ends with status 0 if every request brought the trips it asked for, 1 if requests failed or were cut off at shutdown,
/// 2 if the configuration can't be used. Ticks that the overrun policy skips are counted, not failures.
#[derive(Parser)]
#[command(name = NAME, version, after_help = "\
Examples:
  scheduler-cron                              30 trips each 3 s, until Ctrl-C
  scheduler-cron --every 10s --trips 100 --duration 60s --report target/cron.json
  scheduler-cron --cron '*/5 * * * * *'       each 5 s on the clock
  scheduler-cron --cron '0 0 9 * * Mon-Fri' --time-zone Europe/Paris
  scheduler-cron --rate 300 --ramp 30s --duration 60s --until-joined
  scheduler-cron --overrun queue --set scheduler_cron.queue_limit=50")]
struct Args {
    /// Where the producer API is [client.url]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Trips each request asks for [scheduler_cron.trips]
    #[arg(long, value_name = "N")]
    trips: Option<u32>,
    /// Fire each so many whole seconds, such as 3s or 1min [scheduler_cron.schedule]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "cron")]
    every: Option<String>,
    /// Fire by a cron expression: second minute hour day month weekday [scheduler_cron.schedule]
    #[arg(long, value_name = "EXPRESSION")]
    cron: Option<String>,
    /// Whose clocks the expression means, such as Europe/Paris [scheduler_cron.time_zone]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// What becomes of a tick that is due while requests run: skip, queue or overlap [scheduler_cron.overrun]
    #[arg(long, value_name = "POLICY")]
    overrun: Option<String>,
    /// Requests that may run at once [client.max_in_flight]
    #[arg(long, value_name = "N")]
    max_in_flight: Option<usize>,
    /// Trips a second; sets how many each request asks for [scheduler_cron.rate]
    #[arg(long, value_name = "TRIPS", allow_hyphen_values = true, conflicts_with_all = ["trips"])]
    rate: Option<String>,
    /// Rise to the full load within this time, such as 30s [scheduler_cron.ramp]
    #[arg(long, value_name = "TIME")]
    ramp: Option<String>,
    /// Stop after this time, such as 60s
    #[arg(long, value_name = "TIME")]
    duration: Option<String>,
    /// Stop after this many ticks
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// At the end wait until the joiner has joined as many trips as were confirmed, for at most this time; asks its
    /// /metrics at client.joiner_url [client.until_joined]
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "60s")]
    until_joined: Option<String>,
    /// Where that joiner's health and metrics are [client.joiner_url]
    #[arg(long, value_name = "URL")]
    joiner_url: Option<String>,
    /// Also write the report to this file, as JSON
    #[arg(long, value_name = "FILE.json")]
    report: Option<String>,
    /// Write what became of each tick to this file, one JSON object a line
    #[arg(long, value_name = "FILE.jsonl")]
    timeline: Option<String>,
    #[command(flatten)]
    common: CommonArgs,
}

impl Args {
    /// The keys that the flags set.
    fn overrides(&self) -> Vec<Override> {
        let every = self.every.as_ref().map(|every| format!("every {every}"));
        let keys = [
            ("client.url", self.url.clone()),
            ("client.max_in_flight", self.max_in_flight.map(|n| n.to_string())),
            ("scheduler_cron.trips", self.trips.map(|n| n.to_string())),
            ("scheduler_cron.schedule", every.or_else(|| self.cron.clone())),
            ("scheduler_cron.time_zone", self.time_zone.clone()),
            ("scheduler_cron.overrun", self.overrun.clone()),
            ("scheduler_cron.duration", self.duration.clone()),
            ("scheduler_cron.count", self.count.map(|n| n.to_string())),
            ("scheduler_cron.rate", self.rate.clone()),
            ("scheduler_cron.ramp", self.ramp.clone()),
            ("client.until_joined", self.until_joined.clone()),
            ("client.joiner_url", self.joiner_url.clone()),
            ("scheduler_cron.report", self.report.clone()),
            ("scheduler_cron.timeline", self.timeline.clone()),
        ];
        keys.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    service::main(NAME, &args.common, &args.overrides(), run_and_conclude)
}
