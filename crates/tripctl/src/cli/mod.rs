//! The command line.

use std::io;
use std::time::{Duration, SystemTime};

use anyhow::bail;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use service::{CommonArgs, Context, print};

use verify::settings::Settings;

use crate::{NAME, demo, names, tail, topics};

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
  tripctl demo --seconds 20              all services for a while, and is every trip accounted for?
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
    /// Run the whole pipeline in this terminal, and check at the end what became of every trip
    Demo(DemoArgs),
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

impl Cli {
    /// Reads the command line; ends the process with a message if it can't be used. The options of all services may
    /// stand before or behind the command.
    pub fn read() -> Self {
        let matches = Self::command_line().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    fn command_line() -> clap::Command {
        Self::command().mut_args(|arg| arg.global(true)).mut_arg("ports_file", |arg| arg.hide(true))
    }

    /// Does what the command line says.
    ///
    /// # Errors
    ///
    /// What went wrong, and what `verify` found to be wrong.
    pub async fn run(command: Self, settings: Settings, context: Context) -> anyhow::Result<()> {
        let Self { command, common: _ } = command;
        match command {
            Command::Tail(args) => run_tail(args, &settings, &context).await,
            Command::Verify(args) => run_verify(args, &settings, &context).await,
            Command::Topics(args) => run_topics(args.action, &settings).await,
            Command::Demo(args) => run_demo(args, &settings, &context).await,
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
        print(&format!("{:#}\n", report.to_json(args.limit)))?;
    } else {
        print(&report.to_text(args.limit, SystemTime::now()))?;
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
    Ok(print(&text)?)
}

async fn run_demo(args: DemoArgs, settings: &Settings, context: &Context) -> anyhow::Result<()> {
    let DemoArgs { seconds, on_configured_kafka } = args;
    let duration = seconds.map(Duration::from_secs);
    let options = demo::Options { duration, on_configured_kafka };
    let summary = demo::run(settings, options, &context.shutdown).await?;
    if !summary.is_success() {
        bail!("not every trip is accounted for: {}", summary.shortcomings().join("; "));
    }
    Ok(())
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
