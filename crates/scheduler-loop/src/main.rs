//! The binary `scheduler-loop`.

use std::process::ExitCode;

use clap::Parser;
use scheduler_loop::{NAME, run_and_conclude};
use service::{CommonArgs, Override};

/// Asks the producer API for trips at a fixed rate, on an absolute timeline.
///
/// Ends with status 0 if every request brought the trips it asked for, 1 if requests failed or were cut off at shutdown,
/// 2 if the configuration can't be used. Ticks that the overrun policy skips are counted, not failures.
#[derive(Parser)]
#[command(name = NAME, version, after_help = "\
Examples:
  scheduler-loop                              3 trips each 0.1 s, until Ctrl-C
  scheduler-loop --closed-loop --count 100    sleep after each answer, as the course's script
  scheduler-loop --trips 10 --period 20ms --duration 60s --report target/loop.json
  scheduler-loop --rate 300 --ramp 30s --duration 60s --until-joined
  scheduler-loop --overrun queue --set scheduler_loop.queue_limit=50")]
struct Args {
    /// Where the producer API is [client.url]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Trips each request asks for [scheduler_loop.trips]
    #[arg(long, value_name = "N")]
    trips: Option<u32>,
    /// Time from tick to tick, such as 100ms or 0.5s [scheduler_loop.period]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    period: Option<String>,
    /// Sleep for the period after each answer instead of keeping to the timeline
    #[arg(long)]
    closed_loop: bool,
    /// What becomes of a tick that is due while requests run: skip, queue or overlap [scheduler_loop.overrun]
    #[arg(long, value_name = "POLICY")]
    overrun: Option<String>,
    /// Requests that may run at once [client.max_in_flight]
    #[arg(long, value_name = "N")]
    max_in_flight: Option<usize>,
    /// Trips a second: sets the period [scheduler_loop.rate]
    #[arg(long, value_name = "TRIPS", allow_hyphen_values = true, conflicts_with_all = ["period", "closed_loop"])]
    rate: Option<String>,
    /// Rise to the full load within this time, such as 30s [scheduler_loop.ramp]
    #[arg(long, value_name = "TIME", conflicts_with = "closed_loop")]
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
        let keys = [
            ("client.url", self.url.clone()),
            ("client.max_in_flight", self.max_in_flight.map(|n| n.to_string())),
            ("scheduler_loop.trips", self.trips.map(|n| n.to_string())),
            ("scheduler_loop.period", self.period.clone()),
            ("scheduler_loop.closed_loop", self.closed_loop.then(|| "true".to_owned())),
            ("scheduler_loop.overrun", self.overrun.clone()),
            ("scheduler_loop.duration", self.duration.clone()),
            ("scheduler_loop.count", self.count.map(|n| n.to_string())),
            ("scheduler_loop.rate", self.rate.clone()),
            ("scheduler_loop.ramp", self.ramp.clone()),
            ("client.until_joined", self.until_joined.clone()),
            ("client.joiner_url", self.joiner_url.clone()),
            ("scheduler_loop.report", self.report.clone()),
            ("scheduler_loop.timeline", self.timeline.clone()),
        ];
        keys.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    service::main(NAME, &args.common, &args.overrides(), run_and_conclude)
}
