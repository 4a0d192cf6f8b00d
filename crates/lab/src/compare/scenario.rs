//! What is compared: three ways to ask for the same trips, and the circumstances under which they do.

use std::time::Duration;

use fleet::Program;

use super::proxy::Behaviour;

/// Trips a second that each contender is to ask for: the course's load of its second scheduler.
pub(super) const TRIPS_PER_S: u32 = 30;
/// Requests that one contender may have under way at once.
pub(super) const MAX_IN_FLIGHT: usize = 10;
/// A request that starts later than this after its time counts as late.
pub(super) const LATE_AFTER: Duration = Duration::from_millis(100);
/// How long a request may take: longer than the slowest answer of any scenario.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often a request that produced nothing is sent again.
const RETRIES: u32 = 3;
/// How often tokio-cron-scheduler looks whether a job is due.
pub(super) const CRON_POLLING: Duration = Duration::from_millis(500);

/// A way to ask for the trips.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contender {
    /// One large request a second, at the calendar's instants.
    Cron,
    /// Ten small requests a second, each at its instant of an absolute timeline.
    Loop,
    /// Small requests, each a tenth of a second after the answer to the one before.
    ClosedLoop,
}

impl Contender {
    pub(super) const ALL: [Contender; 3] =
        [Contender::Cron, Contender::Loop, Contender::ClosedLoop];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Contender::Cron => "cron",
            Contender::Loop => "loop",
            Contender::ClosedLoop => "closed loop",
        }
    }

    /// Its program.
    pub(super) const fn program(self) -> Program {
        match self {
            Contender::Cron => Program::SchedulerCron,
            Contender::Loop | Contender::ClosedLoop => Program::SchedulerLoop,
        }
    }

    /// Time from one request to the next.
    pub(super) const fn period(self) -> Duration {
        match self {
            Contender::Cron => Duration::from_secs(1),
            Contender::Loop | Contender::ClosedLoop => Duration::from_millis(100),
        }
    }

    /// How many trips each request asks for.
    pub(super) const fn trips(self) -> u32 {
        match self {
            Contender::Cron => TRIPS_PER_S,
            Contender::Loop | Contender::ClosedLoop => TRIPS_PER_S / 10,
        }
    }

    /// The keys of the configuration that make it what it is, each with its own default as overrun policy.
    pub(super) fn keys(self, duration: Duration) -> Vec<(String, String)> {
        let time = |time| humantime::format_duration(time).to_string();
        let mut keys = vec![
            ("trips", self.trips().to_string()),
            ("duration", time(duration)),
            ("overrun", self.overrun().to_owned()),
        ];
        match self {
            Contender::Cron => keys.push(("schedule", format!("every {}", time(self.period())))),
            Contender::Loop | Contender::ClosedLoop => {
                keys.push(("period", time(self.period())));
                keys.push(("closed_loop", (self == Contender::ClosedLoop).to_string()));
            }
        }
        let own = keys.into_iter().map(|(key, value)| (self.own_key(key), value));
        own.chain([
            ("client.max_in_flight".to_owned(), MAX_IN_FLIGHT.to_string()),
            ("client.late_after".to_owned(), time(LATE_AFTER)),
            ("client.timeout".to_owned(), time(TIMEOUT)),
            ("client.retries".to_owned(), RETRIES.to_string()),
        ])
        .collect()
    }

    /// A key of its own section.
    pub(super) fn own_key(self, key: &str) -> String {
        self.program().key(key)
    }

    /// What becomes of a request that is due while others are under way.
    pub(super) const fn overrun(self) -> &'static str {
        match self {
            Contender::Cron => "skip",
            Contender::Loop | Contender::ClosedLoop => "overlap",
        }
    }
}

/// How the API is from some moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// What lies between the contenders and the API does this.
    Between(Behaviour),
    /// The API is stopped and started again, and refuses connections until it is ready.
    Restart,
}

/// A change of the circumstances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Phase {
    /// Since the beginning.
    pub(super) at: Duration,
    pub(super) condition: Condition,
}

/// Circumstances that all contenders meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scenario {
    /// Its name in names of files.
    pub(super) slug: &'static str,
    pub(super) title: &'static str,
    /// What happens, in a sentence or two.
    pub(super) story: String,
    /// How long each contender asks for trips.
    pub(super) duration: Duration,
    /// In order of time; before the first one the API is undisturbed.
    pub(super) phases: Vec<Phase>,
    /// Whether all contenders run at the same time, each by a way of its own to the API; else one after the other, and
    /// straight to the API.
    pub(super) together: bool,
}

impl Scenario {
    /// How many trips the load asks for while it lasts.
    pub(super) fn asked(&self) -> f64 {
        self.duration.as_secs_f64() * f64::from(TRIPS_PER_S)
    }

    /// Under the same circumstances all the time.
    fn constant(
        slug: &'static str,
        title: &'static str,
        story: String,
        seconds: u64,
        behaviour: Behaviour,
    ) -> Self {
        let phases = vec![Phase { at: Duration::ZERO, condition: Condition::Between(behaviour) }];
        Self { slug, title, story, duration: Duration::from_secs(seconds), phases, together: true }
    }
}

/// How many trips a second the API serves when it is overloaded.
const CAPACITY: u32 = TRIPS_PER_S / 2;

/// All scenarios: in two minutes, or, if `quick`, in half of one, which is enough to see that all of it works.
pub(super) fn all(quick: bool) -> Vec<Scenario> {
    let pick = |full, short| if quick { short } else { full };
    let limited = Behaviour::Limited { trips_per_s: CAPACITY };
    vec![
        Scenario {
            slug: "steady",
            title: "An API that answers",
            story: if quick {
                "Nothing is in the way. All run at the same time.".to_owned()
            } else {
                "Nothing is in the way. Each runs alone.".to_owned()
            },
            duration: Duration::from_secs(pick(20, 4)),
            phases: Vec::new(),
            together: quick,
        },
        Scenario::constant(
            "slow-200ms",
            "An API that takes 200 ms",
            "Every answer is held back until 200 ms after its request.".to_owned(),
            pick(12, 3),
            Behaviour::Delayed(Duration::from_millis(200)),
        ),
        Scenario::constant(
            "slow-2s",
            "An API that takes 2 s",
            "Every answer is held back until 2 s after its request.".to_owned(),
            pick(14, 5),
            Behaviour::Delayed(Duration::from_secs(2)),
        ),
        failing(quick),
        Scenario::constant(
            "overload",
            "An API that is overloaded",
            format!(
                "Requests wait in line for an API that serves {CAPACITY} trips a second, one request after the other; \
                 {TRIPS_PER_S} a second are asked for."
            ),
            pick(12, 4),
            limited,
        ),
    ]
}

fn failing(quick: bool) -> Scenario {
    let timeline: [(u64, Condition); 7] = [
        (4_000, Condition::Between(Behaviour::Answers(503))),
        (8_000, Condition::Between(Behaviour::Undisturbed)),
        (12_000, Condition::Between(Behaviour::Answers(500))),
        (15_000, Condition::Between(Behaviour::Undisturbed)),
        (18_000, Condition::Between(Behaviour::Refused)),
        (22_000, Condition::Between(Behaviour::Undisturbed)),
        (26_000, Condition::Restart),
    ];
    let (divisor, seconds) = if quick { (3, 10) } else { (1, 30) };
    let phase = |(ms, condition)| Phase { at: Duration::from_millis(ms / divisor), condition };
    Scenario {
        slug: "failing",
        title: "An API that fails",
        story: "First it answers 503, which promises that nothing was written; later 500, which promises nothing; then \
                it refuses connections; at last it is restarted."
            .to_owned(),
        duration: Duration::from_secs(seconds),
        phases: timeline.map(phase).to_vec(),
        together: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_contenders_ask_for_the_same_trips_a_second() {
        for contender in Contender::ALL {
            let rate = f64::from(contender.trips()) / contender.period().as_secs_f64();
            assert!((rate - f64::from(TRIPS_PER_S)).abs() < 1e-9, "{contender:?}: {rate}");
        }
    }

    #[test]
    fn all_of_it_takes_its_time_and_no_more() {
        for (quick, limit) in [(false, 140), (true, 30)] {
            let seconds: u64 = all(quick)
                .iter()
                .map(|scenario| {
                    let runs = if scenario.together { 1 } else { Contender::ALL.len() as u64 };
                    scenario.duration.as_secs() * runs
                })
                .sum();
            assert!(seconds <= limit, "{seconds} s");
        }
    }

    #[test]
    fn what_happens_happens_in_order_and_before_the_end() {
        for scenario in all(true).into_iter().chain(all(false)) {
            let mut times: Vec<_> = scenario.phases.iter().map(|phase| phase.at).collect();
            assert!(times.is_sorted(), "{}", scenario.slug);
            times.push(scenario.duration);
            assert!(times.is_sorted(), "{}", scenario.slug);
        }
    }
}
