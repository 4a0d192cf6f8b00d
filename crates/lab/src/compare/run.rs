//! One scenario: the schedulers run as processes while the circumstances change, and what they have written is read.

use std::fs;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use service::Shutdown;
use tokio::time::sleep;
use trip_client::{RunReport, TickRecord};

use super::CompareError;
use super::proxy::{Behaviour, Proxy};
use super::scenario::{Condition, Contender, Scenario};
use super::stage::Stage;
use fleet::{Process, Usage};

/// How often it is looked what a scheduler has used.
const SAMPLE: Duration = Duration::from_millis(50);
/// How long a scheduler may take to end after its last request is due: longer than the API's slowest answer, retries
/// included.
const ENDING: Duration = Duration::from_secs(30);
/// How long connections are refused at least when the API is restarted.
const RESTART: Duration = Duration::from_secs(1);

/// What became of one scenario.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) scenario: Scenario,
    /// Which time it is that the scenario runs, from 1.
    pub(super) round: u32,
    pub(super) runs: Vec<Run>,
    /// What the circumstances were when, as far as they were not undisturbed.
    pub(super) bands: Vec<Band>,
    /// Rows that came into each of the three topics.
    pub(super) rows: [u64; 3],
}

/// What one contender did.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) contender: Contender,
    pub(super) report: RunReport,
    /// What became of each tick.
    pub(super) ticks: Vec<TickRecord>,
    /// When its clock started, in seconds since the scenario's beginning.
    pub(super) offset_s: f64,
    /// Whether its exit status said success.
    pub(super) success: bool,
    /// The most of its requests at once, as seen from outside; none if there was nobody to see.
    pub(super) most_at_once: Option<usize>,
    /// What it had used by then, in order of time since its start.
    pub(super) usage: Vec<(Duration, Usage)>,
}

/// A time with a name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Band {
    pub(super) from_s: f64,
    pub(super) to_s: f64,
    pub(super) label: String,
}

/// Lets all contenders go through `scenario`, for the `round`-th time.
pub(super) async fn run(
    scenario: Scenario,
    round: u32,
    stage: &mut Stage<'_>,
    shutdown: &Shutdown,
) -> Result<Outcome, CompareError> {
    let before = stage.rows().await?;
    let (mut runs, mut bands) = (Vec::new(), Vec::new());
    if scenario.together {
        (runs, bands) = together(&scenario, round, stage, shutdown).await?;
    } else {
        for contender in Contender::ALL {
            let url = format!("http://{}", stage.api_address());
            let start = Start::of(contender, &scenario, round, stage.dir(), &url);
            let running = start.launch(stage)?;
            runs.push(running.finish(shutdown).await?);
            stage.ensure_running()?;
        }
    }
    let after = stage.rows().await?;
    let rows = std::array::from_fn(|side| after[side] - before[side]);
    Ok(Outcome { scenario, round, runs, bands, rows })
}

async fn together(
    scenario: &Scenario,
    round: u32,
    stage: &mut Stage<'_>,
    shutdown: &Shutdown,
) -> Result<(Vec<Run>, Vec<Band>), CompareError> {
    let mut proxies = Vec::new();
    for _ in Contender::ALL {
        let proxy = Proxy::start(stage.api_address()).await;
        proxies.push(proxy.map_err(CompareError::system("listening between scheduler and API"))?);
    }
    let mut phases = scenario.phases.iter().copied().peekable();
    while let Some(phase) = phases.next_if(|phase| phase.at.is_zero()) {
        if let Condition::Between(behaviour) = phase.condition {
            set_all(&proxies, behaviour);
        }
    }
    let (began, wall) = (Instant::now(), SystemTime::now());
    let launch = |contender, proxy: &Proxy| {
        Start::of(contender, scenario, round, stage.dir(), &proxy.url()).launch(stage)
    };
    let [cron, open, closed] = Contender::ALL;
    let (cron, open, closed) =
        (launch(cron, &proxies[0])?, launch(open, &proxies[1])?, launch(closed, &proxies[2])?);
    let mut changes = Vec::new();
    let conduct = async {
        for phase in phases {
            sleep(phase.at.saturating_sub(began.elapsed())).await;
            changes.push((began.elapsed().as_secs_f64(), label(phase.condition)));
            match phase.condition {
                Condition::Between(behaviour) => set_all(&proxies, behaviour),
                Condition::Restart => {
                    set_all(&proxies, Behaviour::Refused);
                    let back = Instant::now() + RESTART;
                    stage.restart_api().await?;
                    sleep(back.saturating_duration_since(Instant::now())).await;
                    set_all(&proxies, Behaviour::Undisturbed);
                    changes.push((began.elapsed().as_secs_f64(), None));
                }
            }
        }
        Ok::<_, CompareError>(())
    };
    let finish = async {
        tokio::try_join!(cron.finish(shutdown), open.finish(shutdown), closed.finish(shutdown))
    };
    let (runs, ()) = tokio::try_join!(finish, conduct)?;
    let mut runs: Vec<Run> = <[Run; Contender::ALL.len()]>::from(runs).into();
    stage.ensure_running()?;
    for (run, proxy) in runs.iter_mut().zip(&proxies) {
        run.offset_s = offset(&run.report, wall);
        run.most_at_once = Some(proxy.most_at_once());
    }
    let whole = scenario.phases.iter().find(|phase| phase.at.is_zero());
    let first = whole.map(|phase| (0.0, label(phase.condition)));
    let end = scenario.duration.as_secs_f64();
    Ok((runs, bands(first.into_iter().chain(changes), end)))
}

fn set_all(proxies: &[Proxy], behaviour: Behaviour) {
    for proxy in proxies {
        proxy.set(behaviour);
    }
}

/// From what it was at each change to the times at which it was something worth a name.
fn bands(changes: impl Iterator<Item = (f64, Option<String>)>, end_s: f64) -> Vec<Band> {
    let changes: Vec<_> = changes.collect();
    let ends = changes.iter().skip(1).map(|(at, _)| *at).chain([end_s]);
    let band = |((from_s, label), to_s): (&(f64, Option<String>), f64)| {
        Some(Band { from_s: *from_s, to_s, label: label.clone()? })
    };
    changes.iter().zip(ends).filter_map(band).collect()
}

/// What a band is called; none for undisturbed.
fn label(condition: Condition) -> Option<String> {
    match condition {
        Condition::Restart => Some("restart".to_owned()),
        Condition::Between(Behaviour::Undisturbed) => None,
        Condition::Between(Behaviour::Refused) => Some("refused".to_owned()),
        Condition::Between(Behaviour::Answers(status)) => Some(status.to_string()),
        Condition::Between(Behaviour::Delayed(delay)) => {
            Some(format!("answers after {}", humantime::format_duration(delay)))
        }
        Condition::Between(Behaviour::Limited { trips_per_s }) => {
            Some(format!("{trips_per_s} trips a second"))
        }
    }
}

/// Seconds from `began` to the run's start; 0 if that can't be read.
fn offset(report: &RunReport, began: SystemTime) -> f64 {
    let started = humantime::parse_rfc3339(&report.started_at).unwrap_or(began);
    started.duration_since(began).unwrap_or_default().as_secs_f64()
}

/// A scheduler that is about to start, and the files that it will write.
struct Start {
    contender: Contender,
    keys: Vec<(String, String)>,
    name: String,
    report: PathBuf,
    ticks: PathBuf,
    limit: Duration,
}

impl Start {
    fn of(contender: Contender, scenario: &Scenario, round: u32, dir: &Path, url: &str) -> Self {
        let contender_name = contender.name().replace(' ', "-");
        let name = format!("{}-{contender_name}-{round}", scenario.slug);
        let report = dir.join(format!("{name}.json"));
        let ticks = dir.join(format!("{name}.jsonl"));
        let mut keys = contender.keys(scenario.duration);
        keys.extend([
            (contender.own_key("listen"), "127.0.0.1:0".to_owned()),
            (contender.own_key("report"), report.display().to_string()),
            (contender.own_key("timeline"), ticks.display().to_string()),
            ("client.url".to_owned(), url.to_owned()),
        ]);
        let limit = scenario.duration + ENDING;
        Self { contender, keys, name, report, ticks, limit }
    }

    fn launch(self, stage: &Stage<'_>) -> Result<Running, CompareError> {
        let process = stage.start_scheduler(self.contender.program(), &self.keys, &self.name)?;
        Ok(Running { start: self, process, since: Instant::now() })
    }
}

/// A scheduler that runs.
struct Running {
    start: Start,
    process: Process,
    since: Instant,
}

impl Running {
    /// Looks at what it uses until it has ended, and reads what it has written.
    async fn finish(mut self, shutdown: &Shutdown) -> Result<Run, CompareError> {
        let id = self.process.id().to_string();
        let mut usage = Vec::new();
        let status = loop {
            if let Some(status) = self.process.status()? {
                break status;
            }
            let elapsed = self.since.elapsed();
            usage.push((elapsed, Usage::of(&id)));
            if elapsed > self.start.limit {
                let limit = self.start.limit;
                return Err(self.process.stuck("does not end".to_owned(), limit).into());
            }
            tokio::select! {
                () = sleep(SAMPLE) => {}
                () = shutdown.wait() => return Err(CompareError::Interrupted),
            }
        };
        // 1 says that requests failed, which is what some scenarios are for; nothing else does.
        if !matches!(status.code(), Some(0 | 1)) || !is_written(&self.start.report) {
            return Err(self.process.ended("has ended without a report", status).into());
        }
        let Start { contender, report, ticks, .. } = self.start;
        Ok(Run {
            contender,
            report: parse_report(contender, &report)?,
            ticks: parse_ticks(contender, &ticks)?,
            offset_s: 0.0,
            success: status.success(),
            most_at_once: None,
            usage,
        })
    }
}

/// Whether a report is at `path`. An empty file was only reserved: the scheduler failed before it had a report.
fn is_written(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.len() > 0)
}

fn parse_report(contender: Contender, path: &Path) -> Result<RunReport, CompareError> {
    read(contender, path, |text| serde_json::from_str(text).map_err(Error::from))
}

fn parse_ticks(contender: Contender, path: &Path) -> Result<Vec<TickRecord>, CompareError> {
    let line = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            Error::new(ErrorKind::InvalidData, format!("line {}: {error}", index + 1))
        })
    };
    read(contender, path, |text| text.lines().enumerate().map(line).collect())
}

fn read<T>(
    contender: Contender,
    path: &Path,
    parse: impl Fn(&str) -> std::io::Result<T>,
) -> Result<T, CompareError> {
    fs::read_to_string(path).and_then(|text| parse(&text)).map_err(|source| CompareError::Results {
        scheduler: contender.program().name(),
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_band_lasts_until_the_next_change_and_undisturbed_is_none() {
        let change = |at: f64, label: Option<&str>| (at, label.map(str::to_owned));
        let changes = [
            change(2.0, Some("503")),
            change(4.0, None),
            change(6.0, Some("refused")),
            change(7.5, Some("restart")),
        ];
        let found: Vec<_> = bands(changes.into_iter(), 10.0)
            .into_iter()
            .map(|Band { from_s, to_s, label }| (from_s, to_s, label))
            .collect();
        let expected = [(2.0, 4.0, "503"), (6.0, 7.5, "refused"), (7.5, 10.0, "restart")]
            .map(|(from, to, label)| (from, to, label.to_owned()));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_report_that_is_reserved_but_not_written_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let report = dir.path().join("report.json");
        assert!(!is_written(&report), "there is no file");
        RunReport::reserve(&report).unwrap();
        assert!(!is_written(&report), "it is empty");
        RunReport::default().write_json(&report).unwrap();
        assert!(is_written(&report));
    }
}
