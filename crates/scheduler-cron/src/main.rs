//! The binary `scheduler-cron`.

use std::process::ExitCode;

use clap::Parser;
use scheduler_cron::{NAME, SECTION, run_and_conclude};
use service::{CommonArgs, Override};
use trip_client::RunArgs;

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
    /// Fire each so many whole seconds, such as 3s or 1min [scheduler_cron.schedule]
    #[arg(
        long,
        value_name = "TIME",
        allow_hyphen_values = true,
        conflicts_with = "cron",
        display_order = 3
    )]
    every: Option<String>,
    /// Fire by a cron expression: second minute hour day month weekday [scheduler_cron.schedule]
    #[arg(long, value_name = "EXPRESSION", display_order = 4)]
    cron: Option<String>,
    /// Whose clocks the expression means, such as Europe/Paris [scheduler_cron.time_zone]
    #[arg(long, value_name = "ZONE", display_order = 5)]
    time_zone: Option<String>,
    /// Trips a second; sets how many each request asks for [scheduler_cron.rate]
    #[arg(
        long,
        value_name = "TRIPS",
        allow_hyphen_values = true,
        conflicts_with_all = ["trips"],
        display_order = 12
    )]
    rate: Option<String>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    common: CommonArgs,
}

impl Args {
    /// The keys that the flags set.
    fn overrides(&self) -> Vec<Override> {
        let every = self.every.as_ref().map(|every| format!("every {every}"));
        let own = [
            ("scheduler_cron.schedule", every.or_else(|| self.cron.clone())),
            ("scheduler_cron.time_zone", self.time_zone.clone()),
            ("scheduler_cron.rate", self.rate.clone()),
        ];
        let own = own.into_iter().filter_map(|(key, value)| Some((key.into(), value?)));
        own.chain(self.run.overrides(SECTION)).collect()
    }
}

fn main() -> ExitCode {
    let args: Args = trip_client::parse(SECTION);
    service::main(NAME, &args.common, &args.overrides(), run_and_conclude)
}
