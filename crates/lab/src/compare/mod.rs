//! `lab compare`: the schedulers under the same load and the same misfortunes, in tables and plots.
//!
//! `scenario` says what happens, `stage` starts the API on a dev stack, `run` lets the schedulers loose on it, each
//! through a `proxy` that makes the API slow, broken or absent. `checks` asks whether all counts agree, `figures`
//! and `case` say what they come to, `report` makes a `document` with `plot`s of it.

mod case;
mod checks;
mod circumstances;
mod document;
mod error;
mod figures;
mod plot;
mod proxy;
mod report;
mod run;
#[cfg(test)]
mod samples;
mod scenario;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};

use fleet::Fleet;
use service::Shutdown;
use tracing::info;

pub use error::CompareError;
pub use report::Report;

use case::Case;
use circumstances::Circumstances;
use stage::Stage;
use verify::settings::Settings;

/// How to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Whether the scenarios are short: enough to see that all works.
    pub quick: bool,
    /// How often each scenario runs. At least once.
    pub repeat: u32,
    /// Where the report goes, as Markdown. The page is beside it with the ending `html`, the plots in a directory of
    /// its name without ending.
    pub report: PathBuf,
}

/// Runs all scenarios with the programs that lie beside this one, and writes the report.
///
/// Whatever happens, none of them runs any more when this returns or is dropped. Their logs are kept unless all was
/// well.
///
/// # Errors
///
/// [`CompareError`] if there is no report. Counts that don't add up are in the report.
pub async fn run(
    settings: &Settings,
    options: &Options,
    shutdown: &Shutdown,
) -> Result<Report, CompareError> {
    // Before minutes of measuring, not after.
    prepare(&options.report)?;
    let fleet = Fleet::new("tripstream-compare-")?;
    let outcome = conduct(settings, options, &fleet, shutdown).await;
    match &outcome {
        Ok(report) if report.is_consistent() => {}
        Err(CompareError::Interrupted) => {}
        _ => info!(logs = %fleet.keep().display(), "the logs are kept"),
    }
    let report = outcome?;
    write(&options.report, &report)?;
    Ok(report)
}

async fn conduct(
    settings: &Settings,
    options: &Options,
    fleet: &Fleet,
    shutdown: &Shutdown,
) -> Result<Report, CompareError> {
    let mut stage = Stage::set(settings, fleet, shutdown).await?;
    let Options { quick, repeat, .. } = *options;
    let mut cases: Vec<Case> = Vec::new();
    // All scenarios in turn, and again: what else the machine does meanwhile hits each of them alike.
    for round in 1..=repeat {
        for (index, scenario) in scenario::all(quick).into_iter().enumerate() {
            info!(scenario = scenario.slug, round, "{}", scenario.story);
            let outcome = run::run(scenario, round, &mut stage, shutdown).await?;
            match cases.get_mut(index) {
                Some(case) => case.rounds.push(outcome),
                None => cases.push(Case { rounds: vec![outcome] }),
            }
        }
    }
    stage.strike().await?;
    Ok(Report::new(cases, Circumstances::here_and_now(quick, repeat)))
}

fn plots_of(report: &Path) -> PathBuf {
    report.with_extension("")
}

fn prepare(report: &Path) -> Result<(), CompareError> {
    let plots = plots_of(report);
    fs::create_dir_all(&plots).map_err(CompareError::write(&plots))
}

fn write(path: &Path, report: &Report) -> Result<(), CompareError> {
    let save = |path: &Path, text: &str| fs::write(path, text).map_err(CompareError::write(path));
    let plots = plots_of(path);
    let document = report.document(&plots.file_name().unwrap_or_default().to_string_lossy());
    for figure in document.all_figures() {
        save(&plots.join(&figure.file), &figure.svg)?;
    }
    save(path, document.markdown())?;
    save(&path.with_extension("html"), &document.to_html(report::TITLE))
}
