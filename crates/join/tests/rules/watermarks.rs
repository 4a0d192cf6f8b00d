//! Rules 4, 6 and 8: what moves the watermark, what holds it, what it survives.

use join::{JoinConfig, RejectReason, Row, RowFate, Task, TaskLayout, Watermark};
use models::{EventTime, Side};

use crate::story::{Text, active, at, config, idle, ms, row, side, snapshot, ts};

fn task(number: i32, tasks: i32, partitions: [i32; 3]) -> Task<Text> {
    Task::new(&config(), TaskLayout::new(number, tasks, partitions).unwrap()).unwrap()
}

/// Steps: `trip/0 50 at 60` (a row at 50, read when the clock shows 60), `end trip/0 at 60`,
/// `end forwarded at 60`, `task 1 says 50 at 60`, `task 1 idle 50 at 60`, `clock 60`.
/// After each the watermark; `-` while it is unknown.
fn check(mut task: Task<Text>, story: &[(&str, &str)]) {
    let mut out = Vec::new();
    let number = |text: &str| text.parse::<i64>().unwrap();
    let input = |text: &str| {
        let (name, partition) = text.split_once('/').unwrap();
        (side(name), partition.parse::<i32>().unwrap())
    };
    for (count, (step, expected)) in story.iter().enumerate() {
        let words: Vec<_> = step.split_whitespace().collect();
        match words[..] {
            ["clock", now] => task.advance(at(number(now)), &mut out),
            ["paused", from, "at", now] => {
                let (side, partition) = input(from);
                task.on_paused_input(side, partition, at(number(now)));
            }
            ["restart", "idle", "at", now] => task.restart_idle(at(number(now))),
            ["end", "forwarded", "at", now] => {
                task.on_end_of_repartition(at(number(now)), &mut out);
            }
            ["end", from, "at", now] => {
                let (side, partition) = input(from);
                task.on_end_of_input(side, partition, at(number(now)), &mut out);
            }
            ["task", source, verb, time, "at", now] => {
                let watermark = Watermark { at: ts(number(time)), idle: verb == "idle" };
                task.on_watermark(number(source) as i32, watermark, at(number(now)), &mut out);
            }
            [from, time, "at", now] => {
                let (side, partition) = input(from);
                let row = row(&format!("t{count}"), side, number(time), partition);
                task.on_row(row, at(number(now)), &mut out);
            }
            _ => panic!("no such step: {step}"),
        }
        let watermark = match task.watermark() {
            EventTime::MIN => "-".to_owned(),
            time => time.as_millis().to_string(),
        };
        assert_eq!(watermark, *expected, "step {count}: {step}");
        assert!(task.is_balanced(), "step {count}: {step}");
    }
}

#[test]
fn it_is_the_least_of_the_partitions_less_the_grace_and_never_goes_back() {
    check(
        task(0, 1, [1, 1, 1]),
        &[
            ("trip/0 50 at 100", "-"),
            ("driver/0 60 at 100", "-"),
            ("rider/0 40 at 100", "38"),
            ("rider/0 55 at 100", "48"),
            ("trip/0 20 at 100", "48"),
            ("trip/0 70 at 100", "53"),
        ],
    );
}

#[test]
fn a_quiet_partition_counts_until_it_was_idle_at_its_end() {
    check(
        task(0, 1, [1, 1, 1]),
        &[
            ("trip/0 50 at 100", "-"),
            ("driver/0 60 at 100", "-"),
            // Not read to its end: quiet is not idle.
            ("clock 200", "-"),
            ("end rider/0 at 200", "-"),
            ("clock 204", "-"),
            ("clock 205", "48"),
            // It wakes behind the others. The watermark waits for it where it is.
            ("rider/0 30 at 206", "48"),
            ("trip/0 90 at 206", "48"),
            ("driver/0 90 at 206", "48"),
            ("rider/0 51 at 206", "49"),
        ],
    );
}

#[test]
fn idle_time_counts_from_the_last_row_and_not_from_the_end() {
    check(
        task(0, 1, [1, 0, 0]),
        &[("trip/0 50 at 100", "48"), ("end trip/0 at 104", "48"), ("clock 107", "50")],
    );
}

#[test]
fn when_all_are_idle_it_runs_on_with_the_wall_clock_from_where_it_stands() {
    check(
        task(0, 1, [1, 1, 0]),
        &[
            ("trip/0 50 at 1000", "-"),
            ("driver/0 60 at 1001", "48"),
            ("end trip/0 at 1001", "48"),
            ("end driver/0 at 1001", "48"),
            // The first is idle: the other counts alone.
            ("clock 1005", "58"),
            // Both are idle from 1006 on.
            ("clock 1006", "58"),
            ("clock 1016", "68"),
            // A row that keeps the pace of those before it is on time, and stops the clock.
            ("driver/0 75 at 1016", "73"),
            ("clock 1020", "73"),
        ],
    );
}

#[test]
fn a_paused_partition_is_not_idle_and_does_not_keep_the_others_from_being_so() {
    check(
        task(0, 1, [1, 1, 0]),
        &[
            ("trip/0 50 at 1000", "-"),
            ("driver/0 70 at 1000", "48"),
            ("end trip/0 at 1000", "48"),
            ("end driver/0 at 1000", "48"),
            ("paused driver/0 at 1004", "48"),
            ("clock 1005", "68"),
            // What lies in it unread goes on where it was left, however long ago.
            ("paused driver/0 at 1009", "68"),
            ("paused driver/0 at 1013", "68"),
            ("clock 1017", "68"),
            ("clock 1018", "68"),
            ("clock 1020", "70"),
        ],
    );
}

#[test]
fn it_does_not_matter_how_often_the_clock_is_shown() {
    // The partition that is behind falls silent first, or last, with or without a look in between.
    let rows = [("trip/0 50 at 1000", "-"), ("driver/0 60 at 1001", "48")];
    let ends = [("end trip/0 at 1001", "48"), ("end driver/0 at 1001", "48")];
    for looks in [&[][..], &[("clock 1005", "58")], &[("clock 1005", "58"), ("clock 1010", "62")]] {
        let story = [&rows[..], &ends[..], looks, &[("clock 1020", "72")]].concat();
        check(task(0, 1, [1, 1, 0]), &story);
    }
    let rows = [("driver/0 60 at 1000", "-"), ("trip/0 50 at 1001", "48")];
    for looks in [&[][..], &[("clock 1005", "48")], &[("clock 1005", "48"), ("clock 1010", "62")]] {
        let story = [&rows[..], &ends[..], looks, &[("clock 1020", "72")]].concat();
        check(task(0, 1, [1, 1, 0]), &story);
    }
}

#[test]
fn running_on_it_stays_grace_and_idle_time_behind_the_wall_clock() {
    check(
        task(0, 1, [1, 0, 0]),
        &[
            // Ahead of the wall clock: the watermark is that of a row of this moment.
            ("trip/0 1015 at 1000", "998"),
            ("end trip/0 at 1000", "998"),
            ("clock 1005", "998"),
            ("clock 1006", "999"),
            ("clock 1100", "1093"),
        ],
    );
}

#[test]
fn an_empty_stream_has_no_event_time_to_run_on_from() {
    check(task(0, 1, [1, 0, 0]), &[("end trip/0 at 1000", "-"), ("clock 9000", "-")]);
}

#[test]
fn a_row_from_a_wrong_clock_moves_nothing() {
    let mut task = task(0, 1, [1, 0, 0]);
    let mut out = Vec::new();
    let late = RowFate::Rejected(RejectReason::Timestamp);
    let cases = [
        (Some(120), RowFate::Open),
        (Some(121), late),
        (Some(i64::MAX), late),
        (Some(-1), late),
        (Some(i64::MIN), late),
        (None, late),
    ];
    for (number, (time, fate)) in cases.into_iter().enumerate() {
        let row = Row { ts: time.map(ts), ..row(&format!("t{number}"), Side::Trip, 0, 0) };
        assert_eq!(task.on_row(row, at(100), &mut out), fate, "{time:?}");
        assert_eq!(task.watermark(), ts(98), "{time:?}");
    }
    assert_eq!(task.counters().rejected_timestamp, 5);
    assert!(task.is_balanced());
}

#[test]
fn rows_from_a_wrong_clock_do_not_keep_a_partition_awake() {
    check(
        task(0, 1, [1, 1, 0]),
        &[
            ("trip/0 50 at 100", "-"),
            ("end driver/0 at 100", "-"),
            ("driver/0 9999 at 103", "-"),
            // There is something unread behind it, perhaps.
            ("clock 106", "-"),
            ("end driver/0 at 107", "48"),
        ],
    );
}

#[test]
fn all_tasks_count_and_one_never_heard_of_holds() {
    check(
        task(0, 3, [3, 3, 0]),
        &[
            ("trip/0 50 at 100", "-"),
            ("driver/0 50 at 100", "-"),
            ("task 1 says 30 at 100", "-"),
            ("task 2 says 40 at 100", "30"),
            ("task 1 says 60 at 100", "40"),
            ("task 2 says 60 at 100", "48"),
            // What comes from a restarted task may be older than what it said before.
            ("task 1 says 10 at 100", "48"),
            ("driver/0 90 at 100", "48"),
            ("trip/0 90 at 100", "60"),
            // Nothing is learnt from its own echo, nor from tasks that don't exist.
            ("task 0 says 5 at 100", "60"),
            ("task 3 says 5 at 100", "60"),
            ("task -1 says 5 at 100", "60"),
        ],
    );
}

#[test]
fn an_idle_task_does_not_hold_the_others() {
    check(
        task(0, 2, [2, 0, 0]),
        &[
            ("trip/0 50 at 100", "-"),
            ("task 1 idle 20 at 100", "48"),
            ("trip/0 60 at 100", "58"),
            ("task 1 says 40 at 100", "58"),
            ("trip/0 90 at 100", "58"),
            ("task 1 says 70 at 100", "70"),
        ],
    );
}

#[test]
fn a_task_without_inputs_follows_the_others() {
    let alone = task(2, 3, [2, 2, 2]);
    assert_eq!(alone.layout().inputs(), []);
    assert_eq!(alone.inputs_watermark(), Watermark { at: EventTime::MIN, idle: true });
    check(alone, &[("task 0 says 30 at 100", "-"), ("task 1 idle 0 at 100", "30")]);
}

#[test]
fn the_wall_clock_waits_for_what_is_unread_of_the_others() {
    check(
        task(0, 2, [2, 0, 0]),
        &[
            ("trip/0 50 at 100", "-"),
            ("end trip/0 at 100", "-"),
            ("task 1 idle 40 at 101", "48"),
            ("task 1 idle 40 at 110", "48"),
            // All are idle since 105.
            ("end forwarded at 112", "55"),
            ("clock 115", "58"),
            ("task 1 idle 40 at 117", "60"),
            ("clock 118", "60"),
            ("end forwarded at 119", "62"),
        ],
    );
}

#[test]
fn a_restored_task_counts_silence_from_its_own_beginning() {
    let mut before = task(0, 2, [0, 0, 0]);
    let mut out = Vec::new();
    before.on_watermark(1, active(50), at(100), &mut out);
    before.on_watermark(1, idle(50), at(100), &mut out);
    let mut restored = task(0, 2, [0, 0, 0]);
    restored.apply(snapshot(&before)).unwrap();
    // It may have been away for long, and what came meanwhile is still to be read.
    check(
        restored,
        &[
            ("end forwarded at 900", "50"),
            ("clock 910", "60"),
            ("restart idle at 950", "60"),
            ("clock 952", "62"),
        ],
    );
}

#[test]
fn an_interruption_is_not_silence() {
    check(
        task(0, 1, [1, 0, 0]),
        &[
            ("trip/0 50 at 100", "48"),
            ("end trip/0 at 100", "48"),
            ("restart idle at 200", "48"),
            ("clock 204", "48"),
            ("clock 207", "50"),
        ],
    );
}

#[test]
fn a_task_tells_the_others_of_its_own_inputs_only() {
    let mut task = task(0, 2, [2, 2, 0]);
    let mut out = Vec::new();
    task.on_watermark(1, idle(999), at(90), &mut out);
    assert_eq!(task.inputs_watermark(), active(i64::MIN));
    task.on_row(row("a", Side::Trip, 50, 0), at(100), &mut out);
    assert_eq!(task.inputs_watermark(), active(i64::MIN));
    // A row that is passed on counts here, where it was read, and not where it is joined.
    let passed = task.pass_on(row("b", Side::Driver, 40, 0), at(100), &mut out).unwrap();
    assert_eq!(task.inputs_watermark(), active(38));
    task.on_forwarded_row(Row { ts: Some(ts(20)), ..passed }, at(100), &mut out);
    assert_eq!(task.inputs_watermark(), active(38));
    task.on_end_of_input(Side::Trip, 0, at(100), &mut out);
    task.on_end_of_input(Side::Driver, 0, at(100), &mut out);
    task.advance(at(105), &mut out);
    assert_eq!(task.inputs_watermark(), idle(48));
    assert_eq!((task.counters().rows_in, task.counters().passed_on), (2, 1));
    assert!(task.is_balanced());
}

#[test]
fn a_row_to_pass_on_with_an_untrue_time_is_rejected_where_it_was_read() {
    let mut task = task(0, 2, [2, 2, 2]);
    let mut out = Vec::new();
    assert_eq!(task.pass_on(row("a", Side::Trip, 121, 0), at(100), &mut out), None);
    assert_eq!(out.len(), 1);
    assert!(task.is_balanced());
}

#[test]
fn a_partition_far_ahead_is_named_but_never_the_one_that_holds() {
    let mut task = task(0, 1, [1, 1, 1]);
    let mut out = Vec::new();
    let mut step = |name: &str, time: i64| {
        task.on_row(row(&format!("{name}{time}"), side(name), time, 0), at(500), &mut out);
        task.inputs_ahead().map(|(side, _)| side.as_str()).collect::<Vec<_>>().join(" ")
    };
    let story = [
        ("trip", 50, ""),
        // Before the others are known, what it is ahead of is its own beginning.
        ("trip", 60, ""),
        ("trip", 61, "trip"),
        ("driver", 55, "trip"),
        ("rider", 52, ""),
        ("rider", 65, ""),
        ("trip", 66, "trip"),
        ("rider", 66, "trip rider"),
        ("driver", 66, ""),
    ];
    for (name, time, ahead) in story {
        assert_eq!(step(name, time), ahead, "{name} {time}");
    }
}

#[test]
fn a_partition_beyond_the_tasks_is_read_by_its_remainder() {
    let layout = TaskLayout::new(1, 2, [1, 2, 4]).unwrap();
    assert_eq!(layout.inputs(), [(Side::Driver, 1), (Side::Rider, 1), (Side::Rider, 3)]);
    for (task, tasks) in [(-1, 2), (2, 2), (0, 0)] {
        assert!(TaskLayout::new(task, tasks, [1, 1, 1]).is_err(), "{task} of {tasks}");
    }
}

#[test]
fn a_setting_out_of_range_is_named() {
    let year = ms(367 * 24 * 60 * 60 * 1000);
    let cases = [
        (JoinConfig { window: ms(0), ..config() }, "window must be at least 1 ms, it is 0ns"),
        (JoinConfig { idle: ms(0), ..config() }, "idle must be at least 1 ms, it is 0ns"),
        (JoinConfig { max_skew: ms(0), ..config() }, "max_skew must be at least 1 ms, it is 0ns"),
        (JoinConfig { grace: year, ..config() }, "grace must be at most 366 days, it is 31708800s"),
        (JoinConfig { max_state_bytes: 0, ..config() }, "max_state_bytes must be at least 1"),
    ];
    for (config, message) in cases {
        assert_eq!(config.validate().unwrap_err().to_string(), message);
    }
    assert_eq!(JoinConfig::default().validate(), Ok(()));
}
