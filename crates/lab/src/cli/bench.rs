//! The part of the command line that measures.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use service::{Context, print};

use crate::bench;
use crate::bench::joiner::Keys;
use verify::settings::Settings;

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    service: Measured,
}

#[derive(Debug, Subcommand)]
enum Measured {
    /// Ask the API for trips as fast as it answers, one a request and many
    Producer(BenchProducerArgs),
    /// Load trips into fresh topics and measure the joiner until it has committed the last one
    Joiner(BenchJoinerArgs),
    /// Send trips at a steady rate and measure how long each waits until its joined row can be read
    Latency(BenchLatencyArgs),
    /// One after the other, in one table
    All(BenchAllArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Starts the program `producer-api` that lies beside this one, on topics that are deleted at the end, and asks it for trips:
one a request from one client, one a request from 32, and many a request. Every answer is checked, and so is what Kafka
holds then. The raw limit writes rows that were encoded beforehand, with librdkafka, acks=all and no HTTP.

The clients are a closed loop: each asks again when it has its answer. A slow answer delays the next request, so the wait
that users who do not wait for each other would see is not counted: the percentiles are service times, not response times
at a given rate of requests.

Examples:
  make bench-producer                                     builds both for speed first
  lab bench producer --seconds 20 --json bench.json
  TRIPSTREAM__PRODUCER__LINGER=5ms lab bench producer --no-limit")]
struct BenchProducerArgs {
    #[command(flatten)]
    load: LoadArgs,
    /// Also write the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Leave out the raw limit
    #[arg(long)]
    no_limit: bool,
}

#[derive(Debug, Args)]
struct LoadArgs {
    /// How long each load is measured
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// What a large request asks for
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    trips_per_request: u32,
    /// How many clients make large requests at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    connections: u32,
}

impl LoadArgs {
    fn options(&self, limit: bool) -> bench::producer::Options {
        bench::producer::Options {
            duration: Duration::from_secs(self.seconds),
            trips_per_request: self.trips_per_request,
            connections: self.connections,
            limit,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
What `bench producer` and `bench joiner` do, one after the other.

Examples:
  make bench                                              builds all for speed first
  lab bench all --json bench.json")]
struct BenchAllArgs {
    #[command(flatten)]
    load: LoadArgs,
    /// How many trips, three rows each, the joiner reads
    #[arg(long, value_name = "N", default_value_t = 300_000, value_parser = clap::value_parser!(u64).range(1..))]
    trips: u64,
    /// Also write the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Starts the program `joiner` that lies beside this one, on topics that are deleted at the end, and then lets the same rows
pass through Kafka without a join: the fastest that could be. Both use the settings of [kafka] and [joiner]. The rate from
10 % to 90 % of the trips leaves out start and end; seconds count from the start.

Examples:
  make bench-joiner                                       builds both for speed first
  lab bench joiner --trips 1000000 --json bench.json
  lab bench joiner --trips 1000000 --spread 1h --foreign --joiners 2
  lab bench joiner --no-limit --set joiner.commit_interval=10ms")]
struct BenchJoinerArgs {
    /// How many trips, three rows each
    #[arg(long, value_name = "N", default_value_t = 300_000, value_parser = clap::value_parser!(u64).range(1..))]
    trips: u64,
    /// Also write the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Leave out the pass-through
    #[arg(long)]
    no_limit: bool,
    /// Spread the trips over this much event time up to now, as a backlog is: 6h, 10m
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    spread: Duration,
    /// Also show how rate and memory went on, and draw memory over time into this file (SVG)
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Key drivers by driver_id and riders by rider_id, and partition all by CRC32, as the course's program in Python does
    #[arg(long)]
    foreign: bool,
    /// How many joiners share the work
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    joiners: u8,
    /// Leave out the first round, which is not measured: it lets a broker that has just started warm up
    #[arg(long)]
    cold: bool,
}

impl BenchJoinerArgs {
    fn options(&self) -> bench::joiner::Options {
        bench::joiner::Options {
            trips: self.trips,
            spread: self.spread,
            keys: if self.foreign { Keys::Foreign } else { Keys::Own },
            joiners: self.joiners.into(),
            limit: !self.no_limit,
            warm_up: !self.cold,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Starts the program `joiner` that lies beside this one, on topics that are deleted at the end. The time is counted from when
Kafka has acknowledged the last of a trip's three rows until a reader of committed records is given the joined one.

Examples:
  lab bench latency --seconds 60 --json latency.json
  lab bench latency --rate 500 --set joiner.commit_interval=10ms")]
struct BenchLatencyArgs {
    /// Trips a second, three rows each
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// For how long
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Also write the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Leave out the first round, which is not measured: it lets a broker that has just started warm up
    #[arg(long)]
    cold: bool,
}

impl BenchArgs {
    /// Measures, and shows what came of it.
    pub(super) async fn run(self, settings: &Settings, context: &Context) -> anyhow::Result<()> {
        let shutdown = &context.shutdown;
        let (text, figures, json) = match self.service {
            Measured::Producer(BenchProducerArgs { load, json, no_limit }) => {
                let options = load.options(!no_limit);
                let report = bench::producer::run(settings, options, shutdown).await?;
                (report.to_text(), report.to_json(), json)
            }
            Measured::Joiner(args) => {
                let report = bench::joiner::run(settings, args.options(), shutdown).await?;
                let BenchJoinerArgs { json, plot, .. } = args;
                let mut text = report.to_text();
                if let Some(path) = plot {
                    text = format!("{}\n{text}", report.progress.to_text());
                    write_file(&path, &report.progress.to_svg())?;
                }
                (text, report.to_json(), json)
            }
            Measured::Latency(BenchLatencyArgs { rate, seconds, json, cold }) => {
                let duration = Duration::from_secs(seconds);
                let load = bench::joiner::latency::Load { rate, duration, warm_up: !cold };
                let report = bench::joiner::latency::run(settings, load, shutdown).await?;
                (report.to_text(), report.to_json(), json)
            }
            Measured::All(BenchAllArgs { load, trips, json }) => {
                let options = load.options(true);
                let producer = bench::producer::run(settings, options, shutdown).await?;
                let options = bench::joiner::Options {
                    trips,
                    spread: Duration::ZERO,
                    keys: Keys::Own,
                    joiners: 1,
                    limit: true,
                    warm_up: true,
                };
                let joiner = bench::joiner::run(settings, options, shutdown).await?;
                let summary = bench::Summary { producer, joiner };
                (summary.to_text(), summary.to_json(), json)
            }
        };
        print(&text)?;
        if let Some(path) = json {
            write_file(&path, &format!("{figures:#}\n"))?;
        }
        Ok(())
    }
}

fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parse(line: &str) -> Result<Measured, clap::Error> {
        let matches = Cli::command_line().try_get_matches_from(line.split(' '))?;
        match Cli::from_arg_matches(&matches)?.command {
            Command::Bench(BenchArgs { service }) => Ok(service),
            other @ Command::Compare(_) => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_joiner_is_measured_with_300_000_trips_unless_told_otherwise() {
        let bench = |line| match parse(line).expect(line) {
            Measured::Joiner(args) => args,
            other => panic!("{line}: {other:?}"),
        };
        let args = bench("lab bench joiner");
        assert_eq!((args.trips, args.no_limit), (300_000, false));
        assert_eq!(bench("lab bench joiner --trips 10").trips, 10);
        assert!(parse("lab bench joiner --trips 0").is_err());
        assert!(parse("lab bench").is_err());
    }

    #[test]
    fn the_api_is_measured_with_1_000_trips_a_request_unless_told_otherwise() {
        let bench = |line| match parse(line).expect(line) {
            Measured::Producer(args) => args.load,
            other => panic!("{line}: {other:?}"),
        };
        let args = bench("lab bench producer");
        assert_eq!((args.seconds, args.trips_per_request, args.connections), (5, 1_000, 4));
        assert_eq!(bench("lab bench producer --connections 8").connections, 8);
        assert!(parse("lab bench producer --connections 0").is_err());
    }

    #[test]
    fn a_backlog_of_strangers_can_be_shared() {
        let line = "lab bench joiner --spread 1h --foreign --joiners 2";
        let Measured::Joiner(args) = parse(line).expect(line) else { panic!("{line}") };
        let options = args.options();
        assert_eq!((options.keys, options.joiners), (Keys::Foreign, 2));
        assert_eq!(options.spread, Duration::from_secs(3_600));
        assert!(parse("lab bench joiner --joiners 0").is_err());
    }
}
