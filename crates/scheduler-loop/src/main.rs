//! The binary `scheduler-loop`.

use std::process::ExitCode;

use clap::Parser;
use scheduler_loop::{NAME, SECTION, run_and_conclude};
use service::{CommonArgs, Override};
use trip_client::RunArgs;

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
    /// Time from tick to tick, such as 100ms or 0.5s [scheduler_loop.period]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, display_order = 3)]
    period: Option<String>,
    /// Sleep for the period after each answer instead of keeping to the timeline
    #[arg(long, conflicts_with = "ramp", display_order = 4)]
    closed_loop: bool,
    /// Trips a second: sets the period [scheduler_loop.rate]
    #[arg(
        long,
        value_name = "TRIPS",
        allow_hyphen_values = true,
        conflicts_with_all = ["period", "closed_loop"],
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
        let own = [
            ("scheduler_loop.period", self.period.clone()),
            ("scheduler_loop.closed_loop", self.closed_loop.then(|| "true".to_owned())),
            ("scheduler_loop.rate", self.rate.clone()),
        ];
        let own = own.into_iter().filter_map(|(key, value)| Some((key.into(), value?)));
        own.chain(self.run.overrides(SECTION)).collect()
    }
}

fn main() -> ExitCode {
    let args: Args = trip_client::parse(SECTION);
    service::main(NAME, &args.common, &args.overrides(), run_and_conclude)
}
