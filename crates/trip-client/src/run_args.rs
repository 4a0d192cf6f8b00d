//! The flags and settings that both schedulers have: how much a run asks for, how long it goes on, and where its
//! report goes.

use std::borrow::Cow;

use clap::{Args, Command, Parser};
use service::Override;

/// Stands in the help for the name of the scheduler's section.
const SECTION: &str = "SECTION";

/// The flags of a run. Flatten it into a scheduler's own arguments, and parse those with [`parse`].
///
/// Values are kept as texts: the configuration reads them, and says what is wrong with them, wherever they come from.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// Where the producer API is [client.url]
    #[arg(long, value_name = "URL", display_order = 1)]
    url: Option<String>,
    /// Trips each request asks for [SECTION.trips]
    #[arg(long, value_name = "N", display_order = 2)]
    trips: Option<u32>,
    /// What becomes of a tick that is due while requests run: skip, queue or overlap [SECTION.overrun]
    #[arg(long, value_name = "POLICY", display_order = 10)]
    overrun: Option<String>,
    /// Requests that may run at once [client.max_in_flight]
    #[arg(long, value_name = "N", display_order = 11)]
    max_in_flight: Option<usize>,
    /// Rise to the full load within this time, such as 30s [SECTION.ramp]
    #[arg(long, value_name = "TIME", display_order = 13)]
    ramp: Option<String>,
    /// Stop after this time, such as 60s
    #[arg(long, value_name = "TIME", display_order = 14)]
    duration: Option<String>,
    /// Stop after this many ticks
    #[arg(long, value_name = "N", display_order = 15)]
    count: Option<u64>,
    /// At the end wait until the joiner has joined as many trips as were confirmed, for at most this time; asks its
    /// /metrics at client.joiner_url [client.until_joined]
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "60s",
        display_order = 16
    )]
    until_joined: Option<String>,
    /// Where that joiner's health and metrics are [client.joiner_url]
    #[arg(long, value_name = "URL", display_order = 17)]
    joiner_url: Option<String>,
    /// Also write the report to this file, as JSON
    #[arg(long, value_name = "FILE.json", display_order = 18)]
    report: Option<String>,
    /// Write what became of each tick to this file, one JSON object a line
    #[arg(long, value_name = "FILE.jsonl", display_order = 19)]
    timeline: Option<String>,
}

impl RunArgs {
    /// The keys that the flags set; `section` is the scheduler's.
    pub fn overrides(&self, section: &str) -> Vec<Override> {
        let own = |key: &str| Cow::Owned(format!("{section}.{key}"));
        let keys = [
            (Cow::Borrowed("client.url"), self.url.clone()),
            ("client.max_in_flight".into(), self.max_in_flight.map(|n| n.to_string())),
            ("client.until_joined".into(), self.until_joined.clone()),
            ("client.joiner_url".into(), self.joiner_url.clone()),
            (own("trips"), self.trips.map(|n| n.to_string())),
            (own("overrun"), self.overrun.clone()),
            (own("ramp"), self.ramp.clone()),
            (own("duration"), self.duration.clone()),
            (own("count"), self.count.map(|n| n.to_string())),
            (own("report"), self.report.clone()),
            (own("timeline"), self.timeline.clone()),
        ];
        keys.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

/// Parses the arguments of a scheduler whose section is `section`. Ends the process, as [`Parser::parse`] does, if
/// they can't be parsed or ask for help.
pub fn parse<A: Parser>(section: &str) -> A {
    let matches = name_section(A::command(), section).get_matches();
    A::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// Puts the name of the section into the help.
fn name_section(command: Command, section: &str) -> Command {
    command.mut_args(|arg| match arg.get_help().map(ToString::to_string) {
        Some(help) if help.contains(SECTION) => arg.help(help.replace(SECTION, section)),
        _ => arg,
    })
}
