//! The command line.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use service::{CommonArgs, Context};

use crate::settings::Settings;
use crate::{NAME, bench, compare, demo, names, tail, topics, verify};

/// Looks at the streams of the pipeline, and checks the joiner's work.
///
/// Ends with status 0 if all is well, 1 if something is wrong or could not be done, 2 if the configuration or the
/// command line can't be used.
#[derive(Debug, Parser)]
#[command(name = NAME, version, after_help = "\
Examples:
  tripctl tail joined --follow           joined rows as they come
  tripctl verify                         has every row exactly one fate?
  tripctl topics describe                partitions and offsets
  tripctl bench all                      how fast are the API and the joiner here?
  tripctl demo --seconds 20              all services for a while, and is every trip accounted for?
  tripctl compare                        what the schedulers differ in, as a report with plots
  tripctl --profile cloud tail rejects   on another cluster")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Options of all services.
    #[command(flatten)]
    pub common: CommonArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the rows of a topic, decoded, one JSON object a line
    Tail(TailArgs),
    /// Check that every row of the inputs has exactly one fate in the outputs
    Verify(VerifyArgs),
    /// Create, describe or delete the topics
    Topics(TopicsArgs),
    /// Measure how fast a service is
    Bench(BenchArgs),
    /// Run the whole pipeline in this terminal, and check at the end what became of every trip
    Demo(DemoArgs),
    /// Run the schedulers under the same load and the same misfortunes, and write what they differ in
    Compare(CompareArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
A row that can't be decoded is shown with its error and its first bytes. Only committed rows are shown.

Examples:
  tripctl tail                               all joined rows, then end
  tripctl tail trips --from -10              the last 10 of each partition
  tripctl tail rejects --from 10m --follow   those of the last ten minutes and all that come
  tripctl tail hw.fake.riders --limit 1 | jq .value")]
struct TailArgs {
    /// Name of a topic, or: trips, drivers, riders, joined, unmatched, rejects
    #[arg(default_value = names::ALIASES[3])]
    topic: String,
    /// Go on with rows as they come, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// beginning, end, an offset, -N for the last N of each partition, a time such as 2026-11-22T23:13:49Z, or how
    /// long ago, such as 10m [default: beginning; with --follow: end]
    #[arg(long, value_name = "START", allow_hyphen_values = true)]
    from: Option<tail::From>,
    /// Stop after this many rows
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Reads the three inputs and the three outputs to their ends as they are now, committed rows only. Rows that the joiner
has not read yet, or that wait for the rest of their trip, are open; they are no fault.

Examples:
  tripctl verify                judge what is there now
  tripctl verify --wait 2m      give the joiner up to two minutes to catch up first
  tripctl verify --json | jq .fates")]
struct VerifyArgs {
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Read on until no row is open, at most this long, such as 30s; ends with status 1 if by then the joiner has not
    /// read all
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    wait: Option<Duration>,
    /// How far apart the rows of a trip may be [default: joiner.window]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    window: Option<Duration>,
    /// Show at most this many of the things that are wrong
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tripctl topics                    describe them all
  tripctl topics create             create those of the pipeline that are absent
  tripctl topics describe joined
  tripctl topics delete --yes       delete them all, with what is in them and the joiner's state")]
struct TopicsArgs {
    #[command(subcommand)]
    action: Option<TopicsAction>,
}

#[derive(Debug, Subcommand)]
enum TopicsAction {
    /// Create those of the pipeline that are absent
    Create {
        /// Names or aliases; all of them if none is given
        topics: Vec<String>,
    },
    /// Show partitions, replicas and offsets; the joiner's internal topics, too
    Describe {
        /// Names or aliases; all of them if none is given
        topics: Vec<String>,
    },
    /// Delete topics with all that is in them; the joiner's internal topics, too
    Delete {
        /// Names or aliases; all of them if none is given
        topics: Vec<String>,
        /// Really do it
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
struct BenchArgs {
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

Examples:
  make bench-producer                                     builds both for speed first
  tripctl bench producer --seconds 20 --json bench.json
  TRIPSTREAM__PRODUCER__LINGER=5ms tripctl bench producer --no-limit")]
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
  tripctl bench all --json bench.json")]
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
  tripctl bench joiner --trips 1000000 --json bench.json
  tripctl bench joiner --no-limit --set joiner.commit_interval=10ms")]
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
    /// Leave out the first round, which is not measured: it lets a broker that has just started warm up
    #[arg(long)]
    cold: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Starts the program `joiner` that lies beside this one, on topics that are deleted at the end. The time is counted from when
Kafka has acknowledged the last of a trip's three rows until a reader of committed records is given the joined one.

Examples:
  tripctl bench latency --seconds 60 --json latency.json
  tripctl bench latency --rate 500 --set joiner.commit_interval=10ms")]
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
}

#[derive(Debug, Args)]
#[command(after_help = "\
Starts the programs that lie beside this one as child processes on free ports, with a dev stack of their own unless told
otherwise, and shows what they do. At the end the schedulers stop, the joiner finishes, and `tripctl verify` judges.
Status 0 means that every trip is accounted for and every program ended well. Nothing is left running or on disk; only
the logs are kept if something was wrong.

Examples:
  make demo                          builds all programs first; until Ctrl-C
  make demo SECONDS=20
  tripctl demo --seconds 20 | cat    a line each two seconds instead of the live view
  tripctl --profile cloud demo --on-configured-kafka")]
struct DemoArgs {
    /// Ask for trips for so many seconds [default: until Ctrl-C]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// Use the Kafka and the registry of the configuration, with the topics as they are
    #[arg(long)]
    on_configured_kafka: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Starts the programs that lie beside this one as child processes on free ports, with a dev stack of their own: the API, and
against it scheduler-cron, scheduler-loop and scheduler-loop --closed-loop, each asking for 30 trips a second, while the API
answers, is slow, fails, is restarted, or is overloaded. Status 0 means that every run's counts add up. Nothing is left
running; only the logs are kept if something was wrong.

Examples:
  make compare-schedulers           builds all programs for speed first
  QUICK=1 make compare-schedulers   the short one
  tripctl compare --quick --report target/compare/report.md")]
struct CompareArgs {
    /// Short scenarios: enough to see that all works, too short for percentiles
    #[arg(long)]
    quick: bool,
    /// Where the report goes, as Markdown; as a page it goes beside it, with the ending .html
    #[arg(long, value_name = "FILE.md", default_value = "target/compare/report.md")]
    report: PathBuf,
}

impl Cli {
    /// Reads the command line; ends the process with a message if it can't be used. The options of all services may
    /// stand before or behind the command.
    pub fn read() -> Self {
        let matches = Self::command_line().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    fn command_line() -> clap::Command {
        Self::command().mut_args(|arg| arg.global(true))
    }

    /// Does what the command line says.
    ///
    /// # Errors
    ///
    /// What went wrong, and what `verify` found to be wrong.
    pub async fn run(command: Self, settings: Settings, context: Context) -> anyhow::Result<()> {
        let Self { command, common } = command;
        match command {
            Command::Tail(args) => run_tail(args, &settings, &context).await,
            Command::Verify(args) => run_verify(args, &settings, &context).await,
            Command::Topics(args) => run_topics(args.action, &settings).await,
            Command::Bench(BenchArgs { service }) => {
                run_bench(service, &common, &settings, &context).await
            }
            Command::Demo(args) => run_demo(args, &common, &settings, &context).await,
            Command::Compare(args) => run_compare(args, &common, &settings, &context).await,
        }
    }
}

async fn run_tail(args: TailArgs, settings: &Settings, context: &Context) -> anyhow::Result<()> {
    let TailArgs { topic, follow, from, limit } = args;
    let options = tail::Options { topic, follow, from, limit };
    let out = io::BufWriter::new(io::stdout());
    Ok(tail::run(settings, &options, &context.shutdown, out).await?)
}

async fn run_verify(
    args: VerifyArgs,
    settings: &Settings,
    context: &Context,
) -> anyhow::Result<()> {
    let mut config = verify::Config::new(settings)?;
    config.wait = args.wait;
    config.joiner.window = args.window.unwrap_or(config.joiner.window);
    let report = verify::run(&config, &context.shutdown).await?;
    if args.json {
        show(&format!("{:#}\n", report.to_json(args.limit)))?;
    } else {
        show(&report.to_text(args.limit, SystemTime::now()))?;
    }
    if !report.is_clean() {
        bail!("the joiner's outputs are not what they should be: {}", report.summary());
    }
    Ok(())
}

async fn run_topics(action: Option<TopicsAction>, settings: &Settings) -> anyhow::Result<()> {
    let joiner = settings.joiner()?;
    let text = match action.unwrap_or(TopicsAction::Describe { topics: Vec::new() }) {
        TopicsAction::Create { topics } => topics::create(settings, &topics).await,
        TopicsAction::Describe { topics } => topics::describe(settings, &joiner, &topics).await,
        TopicsAction::Delete { topics, yes } => {
            topics::delete(settings, &joiner, &topics, yes).await
        }
    }?;
    show(&text)
}

async fn run_bench(
    measured: Measured,
    common: &CommonArgs,
    settings: &Settings,
    context: &Context,
) -> anyhow::Result<()> {
    let shutdown = &context.shutdown;
    let (text, figures, json) = match measured {
        Measured::Producer(BenchProducerArgs { load, json, no_limit }) => {
            let options = load.options(!no_limit);
            let report = bench::producer::run(settings, common, options, shutdown).await?;
            (report.to_text(), report.to_json(), json)
        }
        Measured::Joiner(BenchJoinerArgs { trips, json, no_limit, spread, plot, cold }) => {
            let options =
                bench::joiner::Options { trips, spread, limit: !no_limit, warm_up: !cold };
            let report = bench::joiner::run(settings, common, options, shutdown).await?;
            let mut text = report.to_text();
            if let Some(path) = plot {
                text = format!("{}\n{text}", report.progress.to_text());
                write_file(&path, &report.progress.to_svg())?;
            }
            (text, report.to_json(), json)
        }
        Measured::Latency(BenchLatencyArgs { rate, seconds, json }) => {
            let load =
                bench::joiner::latency::Load { rate, duration: Duration::from_secs(seconds) };
            let report = bench::joiner::latency::run(settings, common, load, shutdown).await?;
            (report.to_text(), report.to_json(), json)
        }
        Measured::All(BenchAllArgs { load, trips, json }) => {
            let options = load.options(true);
            let producer = bench::producer::run(settings, common, options, shutdown).await?;
            let options = bench::joiner::Options {
                trips,
                spread: Duration::ZERO,
                limit: true,
                warm_up: true,
            };
            let joiner = bench::joiner::run(settings, common, options, shutdown).await?;
            let summary = bench::Summary { producer, joiner };
            (summary.to_text(), summary.to_json(), json)
        }
    };
    show(&text)?;
    if let Some(path) = json {
        write_file(&path, &format!("{figures:#}\n"))?;
    }
    Ok(())
}

fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

async fn run_demo(
    args: DemoArgs,
    common: &CommonArgs,
    settings: &Settings,
    context: &Context,
) -> anyhow::Result<()> {
    let DemoArgs { seconds, on_configured_kafka } = args;
    let duration = seconds.map(Duration::from_secs);
    let options = demo::Options { duration, on_configured_kafka };
    let summary = demo::run(settings, common, options, &context.shutdown).await?;
    if !summary.is_success() {
        bail!("not every trip is accounted for: {}", summary.shortcomings().join("; "));
    }
    Ok(())
}

async fn run_compare(
    args: CompareArgs,
    common: &CommonArgs,
    settings: &Settings,
    context: &Context,
) -> anyhow::Result<()> {
    let CompareArgs { quick, report: path } = args;
    if path.extension() != Some("md".as_ref()) {
        bail!("--report {}: the name must end in .md, as in report.md", path.display());
    }
    let options = compare::Options { quick, report: path };
    let report = compare::run(settings, common, &options, &context.shutdown).await?;
    let page = options.report.with_extension("html");
    let places = format!("The report: {} and {}\n", options.report.display(), page.display());
    show(&format!("{}{places}", report.summary()))?;
    if !report.is_consistent() {
        bail!("the counts don't add up: {}", report.inconsistencies().join("; "));
    }
    Ok(())
}

/// Writes to stdout; a reader that has gone away is no fault.
fn show(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("writing to stdout"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        let matches = Cli::command_line().try_get_matches_from(line.split(' '))?;
        Cli::from_arg_matches(&matches)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command_line().debug_assert();
    }

    #[test]
    fn options_of_all_services_stand_before_or_behind_the_command() {
        for line in
            ["tripctl --profile cloud verify --json", "tripctl verify --json --profile cloud"]
        {
            let cli = parse(line).expect(line);
            assert_eq!(cli.common.profile.as_deref(), Some("cloud"), "{line}");
            assert!(
                matches!(cli.command, Command::Verify(VerifyArgs { json: true, .. })),
                "{line}"
            );
        }
        let cli = parse("tripctl --config-dir config topics").expect("topics alone");
        assert!(matches!(cli.command, Command::Topics(TopicsArgs { action: None })));
    }

    #[test]
    fn the_joiner_is_measured_with_300_000_trips_unless_told_otherwise() {
        let bench = |line| match parse(line).expect(line).command {
            Command::Bench(BenchArgs { service: Measured::Joiner(args) }) => args,
            other => panic!("{line}: {other:?}"),
        };
        let args = bench("tripctl bench joiner");
        assert_eq!((args.trips, args.no_limit), (300_000, false));
        assert_eq!(bench("tripctl bench joiner --trips 10").trips, 10);
        assert!(parse("tripctl bench joiner --trips 0").is_err());
        assert!(parse("tripctl bench").is_err());
    }

    #[test]
    fn the_api_is_measured_with_1_000_trips_a_request_unless_told_otherwise() {
        let bench = |line| match parse(line).expect(line).command {
            Command::Bench(BenchArgs { service: Measured::Producer(args) }) => args.load,
            other => panic!("{line}: {other:?}"),
        };
        let args = bench("tripctl bench producer");
        assert_eq!((args.seconds, args.trips_per_request, args.connections), (5, 1_000, 4));
        assert_eq!(bench("tripctl bench producer --connections 8").connections, 8);
        assert!(parse("tripctl bench producer --connections 0").is_err());
    }

    #[test]
    fn tail_shows_joined_rows_unless_told_otherwise() {
        let tail = |line| match parse(line).expect(line).command {
            Command::Tail(args) => args,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(tail("tripctl tail").topic, "joined");
        assert_eq!(tail("tripctl tail trips --from -10").from, Some(tail::From::Last(10)));
        assert!(parse("tripctl tail --from yesterday").is_err());
    }
}
