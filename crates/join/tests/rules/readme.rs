//! The examples of the crate's front page, as they stand there.
//!
//! An example is a block of text. Its first line may say what the task reads (`reads trips/0 drivers/0`, `task 0 of 2
//! reads trips/0`) or how large its state may be (`room for 4 open rows`). Each other line is a step and what comes of
//! it. Without `reads`, the rows reach the task through its repartition partition, and `watermark 12` is what another
//! task tells.

use join::{Changes, Decision, JoinConfig, Row, RowFate, Task, TaskLayout};
use models::Side;

use crate::bounds::bytes_of;
use crate::changelog::restore;
use crate::story::{
    Text, active, at, config, idle, row, side, take_delta, tell, tell_state, tell_trip,
};

const README: &str = include_str!("../../README.md");
/// Of rows and watermarks that come without one.
const CLOCK: i64 = 1_000;

struct Example {
    config: JoinConfig,
    layout: TaskLayout,
    /// Whether rows come from inputs.
    reads: bool,
    task: Task<Text>,
    changelog: Vec<Changes<Text>>,
    out: Vec<Decision<Text>>,
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

/// `drivers/0`.
fn input(text: &str) -> (Side, i32) {
    let (name, partition) = text.split_once('/').unwrap();
    (side(name.strip_suffix('s').unwrap()), partition.parse().unwrap())
}

fn a_row(name: &str, trip: &str, time: &str) -> Row<Text> {
    match time {
        "none" => {
            let payload = Text(format!("{name}@none"));
            Row { ts: None, payload, ..row(trip, side(name), 0, 0) }
        }
        time => row(trip, side(name), number(time), 0),
    }
}

impl Example {
    fn new(config: JoinConfig, (task, tasks): (i32, i32), inputs: &[&str]) -> Self {
        let mut partitions = [0; 3];
        for name in inputs {
            let (side, partition) = input(name);
            partitions[side.index()] = partition + 1;
        }
        let layout = TaskLayout::new(task, tasks, partitions).unwrap();
        Self {
            task: Task::new(&config, layout.clone()).unwrap(),
            config,
            layout,
            reads: !inputs.is_empty(),
            changelog: Vec::new(),
            out: Vec::new(),
        }
    }

    /// What the first line says, if it is none of the steps.
    fn begin(line: &str) -> Option<Self> {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["reads", ref inputs @ ..] => Some(Self::new(config(), (0, 1), inputs)),
            ["task", task, "of", tasks, "reads", ref inputs @ ..] => {
                let numbers = (number(task) as i32, number(tasks) as i32);
                Some(Self::new(config(), numbers, inputs))
            }
            ["room", "for", rows, "open", "rows"] => {
                let max_state_bytes = bytes_of(number(rows));
                Some(Self::new(JoinConfig { max_state_bytes, ..config() }, (0, 2), &[]))
            }
            _ => None,
        }
    }

    fn step(&mut self, step: &str) -> String {
        let before = self.task.watermark();
        let words: Vec<_> = step.split_whitespace().collect();
        let (words, clock) = match words[..] {
            [ref words @ .., "at", clock] => (words.to_vec(), at(number(clock))),
            _ => (words, at(CLOCK)),
        };
        let (task, out) = (&mut self.task, &mut self.out);
        let mut told = Vec::new();
        let fate = match words[..] {
            ["counts"] => return counts(task),
            ["state"] => {
                let state = tell_state(task);
                return if state.is_empty() { "empty".to_owned() } else { state };
            }
            ["delta"] => {
                let delta = take_delta(task);
                let trips: Vec<_> = delta.trips.iter().flat_map(tell_trip).collect();
                self.changelog.push(delta);
                return trips.join("; ");
            }
            ["crash"] => {
                self.task = restore(&self.config, self.layout.clone(), &self.changelog);
                return "-".to_owned();
            }
            ["clock", clock] => {
                task.advance(at(number(clock)), out);
                None
            }
            ["end", name] => {
                let (side, partition) = input(name);
                task.on_end_of_input(side, partition, clock, out);
                None
            }
            ["watermark", time] => {
                task.on_watermark(1, active(number(time)), clock, out);
                None
            }
            ["task", source, says, time] => {
                let is_idle = says == "idle";
                let watermark = if is_idle { idle(number(time)) } else { active(number(time)) };
                task.on_watermark(number(source) as i32, watermark, clock, out);
                None
            }
            ["pass", "on", name, trip, time] => {
                let passed_on = task.pass_on(a_row(name, trip, time), clock, out);
                told.extend(passed_on.map(|_| "forwarded".to_owned()));
                None
            }
            ["forwarded", name, trip, time] => {
                Some(task.on_forwarded_row(a_row(name, trip, time), clock, out))
            }
            [name, trip, time] if self.reads => {
                Some(task.on_row(a_row(name, trip, time), clock, out))
            }
            [name, trip, time] => Some(task.on_forwarded_row(a_row(name, trip, time), clock, out)),
            _ => panic!("no such step: {step}"),
        };
        match fate {
            Some(RowFate::Open) => told.push("waits".to_owned()),
            Some(RowFate::Duplicate) => told.push("dropped".to_owned()),
            _ => {}
        }
        told.extend(self.out.drain(..).map(|decision| tell(&decision)));
        if self.reads && self.task.watermark() > before {
            told.push(format!("watermark {}", self.task.watermark().as_millis()));
        }
        let ahead = self.task.inputs_ahead();
        told.extend(ahead.map(|(side, partition)| format!("pause {side}s/{partition}")));
        if told.is_empty() { "-".to_owned() } else { told.join("; ") }
    }
}

fn counts(task: &Task<Text>) -> String {
    let counters = task.counters();
    format!(
        "{} in, {} joined, {} in unmatched, {} duplicate, {} rejected, {} open",
        counters.rows_in,
        counters.joined,
        counters.unmatched_rows,
        counters.duplicates,
        counters.rejected(),
        task.open_rows()
    )
}

/// The lines of each block of text, with the number of the first one.
fn blocks() -> Vec<(usize, Vec<&'static str>)> {
    let mut blocks = Vec::new();
    let mut block: Option<(usize, Vec<&str>)> = None;
    for (number, line) in README.lines().enumerate() {
        match (&mut block, line) {
            (None, "```text") => block = Some((number + 2, Vec::new())),
            (None, _) => assert!(!line.starts_with("```"), "line {}: no example", number + 1),
            (Some(_), "```") => blocks.extend(block.take()),
            (Some((_, lines)), line) => lines.push(line),
        }
    }
    assert_eq!(block, None, "the last block has an end");
    blocks
}

#[test]
fn every_example_of_the_readme_happens_as_it_says() {
    let blocks = blocks();
    assert!(blocks.len() >= 15, "{} examples", blocks.len());
    for (first, lines) in blocks {
        let begun = Example::begin(lines[0]);
        let skipped = usize::from(begun.is_some());
        let mut example = begun.unwrap_or_else(|| Example::new(config(), (0, 2), &[]));
        for (number, line) in lines.iter().enumerate().skip(skipped) {
            let (step, expected) = line.split_once('|').unwrap_or_else(|| panic!("{line}"));
            assert_eq!(example.step(step), expected.trim(), "README.md:{}: {line}", first + number);
            assert!(example.task.is_balanced(), "README.md:{}: {line}", first + number);
        }
    }
}

#[test]
fn the_settings_of_the_examples_are_those_of_the_tests() {
    let config = config();
    let times = [config.window, config.grace, config.idle, config.max_future, config.max_skew];
    assert_eq!(times.map(|time| time.as_millis()), [10, 2, 5, 20, 10]);
    assert!(README.contains(
        "the window is 10, the grace 2, the idle time\n5, `max_future` 20 and `max_skew` 10."
    ));
}
