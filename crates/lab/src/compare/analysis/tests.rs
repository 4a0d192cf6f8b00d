use super::super::samples::{self, Shape, outcome_of, run};
use super::*;

fn shape(succeeded: u64, lag_ms: u64, service_ms: u64) -> Shape {
    Shape {
        succeeded,
        failed: 0,
        skipped: 0,
        lag: Duration::from_millis(lag_ms),
        service_time: Duration::from_millis(service_ms),
    }
}

/// Cron, loop and closed loop.
fn told(shapes: [Shape; 3]) -> String {
    let runs = Contender::ALL.into_iter().zip(shapes).map(|(who, shape)| run(who, shape));
    of(&outcome_of(runs.collect())).join("\n")
}

#[test]
fn the_order_is_that_of_the_figures() {
    let well = told([shape(9, 250, 20), shape(100, 1, 20), shape(83, 1, 20)]);
    let first = "Of 300 trips asked for in 10 s, loop had 300 confirmed (100 %), cron had 270 confirmed (90 %) and \
                 closed loop had 249 confirmed (83 %).";
    assert!(well.contains(first), "{well}");
    let badly = told([shape(10, 1, 20), shape(50, 250, 20), shape(99, 1, 20)]);
    let first =
        "cron had 300 confirmed (100 %), closed loop had 297 confirmed (99 %) and loop had 150";
    assert!(badly.contains(first), "{badly}");
}

#[test]
fn cron_s_lag_is_measured_against_its_polling_step() {
    let within = told([shape(9, 480, 20), shape(100, 1, 20), shape(99, 1, 20)]);
    assert!(within.contains("its largest lag, 480 ms, lies within one such step"), "{within}");
    let mut exact = outcome_of(vec![run(Contender::Cron, shape(9, 1, 20))]);
    exact.runs[0].report.lag.record(Duration::from_micros(500_300));
    let exact = of(&exact).join("\n");
    assert!(exact.contains("its largest lag, 500 ms, lies within one such step"), "{exact}");
    let beyond = told([shape(9, 700, 20), shape(100, 1, 20), shape(99, 1, 20)]);
    assert!(beyond.contains("but its largest lag, 700 ms, is longer"), "{beyond}");
}

#[test]
fn coordinated_omission_is_told_of_only_where_trips_were_left_out() {
    let word = "Coordinated omission";
    let none = told([shape(9, 1, 20), shape(100, 1, 20), shape(99, 1, 20)]);
    assert!(!none.contains(word), "{none}");
    let better = told([shape(9, 1, 20), shape(100, 1_000, 900), shape(50, 1, 200)]);
    assert!(better.contains("left out 50 % of the trips"), "{better}");
    assert!(better.contains("latency of 201 ms looks better than the 1.9 s of loop"), "{better}");
    let alike = told([shape(9, 1, 20), shape(100, 1, 200), shape(50, 1, 200)]);
    assert!(alike.contains(word) && !alike.contains("looks better"), "{alike}");
}

#[test]
fn what_is_missing_is_told_with_its_reason() {
    let shapes =
        [shape(9, 1, 20), Shape { failed: 20, skipped: 30, ..shape(50, 1, 20) }, shape(99, 1, 20)];
    let text = told(shapes);
    assert!(
        text.contains("What cron lacks: one tick (10 %) was not due within the time"),
        "{text}"
    );
    let lacks = "What loop lacks: 30 % were skipped (in_flight_full 30); 20 % were in requests that failed.";
    assert!(text.contains(lacks), "{text}");
    assert!(text.contains("loop: 20 of 70 requests failed (unavailable 20)"), "{text}");
    assert!(text.contains("What closed loop lacks: 1 % never came due"), "{text}");
    assert!(!told([shape(10, 1, 1), shape(100, 1, 1), shape(100, 1, 1)]).contains("lacks"));
}

#[test]
fn equally_punctual_is_not_called_better() {
    let punctual = |cron: u64| {
        let runs = [shape(9, cron, 20), shape(100, 10, 20), shape(99, 10, 20)];
        let runs = Contender::ALL.into_iter().zip(runs).map(|(who, shape)| run(who, shape));
        most_punctual(&outcome_of(runs.collect())).expect("a sentence")
    };
    assert!(punctual(11).starts_with("All start equally close"), "{}", punctual(11));
    let far = punctual(400);
    assert!(far.contains("farthest is cron, within 400 ms: 40 times as far"), "{far}");
}

#[test]
fn more_at_once_than_allowed_is_said() {
    let mut outcome = samples::outcome();
    let text = of(&outcome).join("\n");
    assert!(text.contains("never more than the 10 allowed"), "{text}");
    outcome.runs[1].most_at_once = Some(12);
    let text = of(&outcome).join("\n");
    assert!(text.contains("loop 12 and closed loop 3; more than the 10 allowed"), "{text}");
}
