//! The command line.

mod bench;

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use service::{CommonArgs, Context, print};
use verify::settings::Settings;

use crate::{NAME, compare};
use bench::BenchArgs;

/// Measures how fast the services are, and what the schedulers differ in.
///
/// Ends with status 0 if all is well, 1 if something is wrong or could not be done, 2 if the configuration or the
/// command line can't be used.
#[derive(Debug, Parser)]
#[command(name = NAME, version, after_help = "\
Examples:
  lab bench all   how fast are the API and the joiner here?
  lab compare     what the schedulers differ in, as a report with plots")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Options of all services.
    #[command(flatten)]
    pub common: CommonArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure how fast a service is
    Bench(BenchArgs),
    /// Run the schedulers under the same load and the same misfortunes, and write what they differ in
    Compare(CompareArgs),
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
  lab compare --repeat 5            each scenario five times, for medians and spreads
  lab compare --quick --report target/compare/report.md")]
struct CompareArgs {
    /// Short scenarios: enough to see that all works, too short for percentiles
    #[arg(long)]
    quick: bool,
    /// How often each scenario runs; from twice on, the tables have the median and the spread
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
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
        Self::command().mut_args(|arg| arg.global(true)).mut_arg("ports_file", |arg| arg.hide(true))
    }

    /// Does what the command line says.
    ///
    /// # Errors
    ///
    /// What went wrong, and what does not add up.
    pub async fn run(command: Self, settings: Settings, context: Context) -> anyhow::Result<()> {
        let Self { command, common: _ } = command;
        match command {
            Command::Bench(args) => args.run(&settings, &context).await,
            Command::Compare(args) => run_compare(args, &settings, &context).await,
        }
    }
}

async fn run_compare(
    args: CompareArgs,
    settings: &Settings,
    context: &Context,
) -> anyhow::Result<()> {
    let CompareArgs { quick, repeat, report: path } = args;
    if path.extension() != Some("md".as_ref()) {
        bail!("--report {}: the name must end in .md, as in report.md", path.display());
    }
    let options = compare::Options { quick, repeat, report: path };
    let report = compare::run(settings, &options, &context.shutdown).await?;
    let page = options.report.with_extension("html");
    let places = format!("The report: {} and {}\n", options.report.display(), page.display());
    print(&format!("{}{places}", report.summary()))?;
    if !report.is_consistent() {
        bail!("the counts don't add up: {}", report.inconsistencies().join("; "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command_line().debug_assert();
    }
}
