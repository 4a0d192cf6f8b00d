use trip_client::Timings;

use super::super::run::Band;
use super::super::samples;
use super::*;

/// Every number that a drawing places something at.
fn numbers(svg: &str) -> Vec<f64> {
    let drawn = svg.split_once("</title>").expect("a title").1;
    // Colours look like numbers.
    let without_colours: String = drawn
        .split('#')
        .enumerate()
        .map(|(n, part)| if n == 0 { part } else { &part[6..] })
        .collect();
    without_colours
        .split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'))
        .filter_map(|word| word.parse().ok())
        .collect()
}

fn sound(svg: &str) {
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    assert!(numbers(svg).iter().all(|number| number.abs() < 500_000.0), "{svg}");
}

#[test]
fn drawings_of_nothing_and_of_extremes_are_sound() {
    let empty = Timings::default();
    let mut extreme = Timings::default();
    extreme.record(std::time::Duration::ZERO);
    extreme.record(std::time::Duration::from_secs(3_000));
    sound(&percentiles("t", "lag", &[]));
    sound(&percentiles("t", "lag", &[(Contender::Cron, &empty), (Contender::Loop, &extreme)]));
    sound(&growth("t", 10.0, 30.0, &[(Contender::Loop, Vec::new())]));
    sound(&growth("t", 10.0, 30.0, &[(Contender::Loop, vec![(12.0, 3), (13.0, 400)])]));
    sound(&bars("t", "MB", &[]));
    sound(&bars("t", "MB", &[Bar { contender: Contender::Cron, amount: 0.0 }]));
    sound(&fates("t", &[]));
    sound(&timeline("t", &[], &[], (0.0, 1.0)));
}

#[test]
fn texts_can_t_break_a_drawing() {
    let svg = growth("a < b & \"c\"", 1.0, 1.0, &[]);
    assert!(svg.contains("<title>a &lt; b &amp; &quot;c&quot;</title>"), "{svg}");
}

#[test]
fn each_tick_has_its_mark_and_each_band_its_name() {
    let outcome = samples::outcome();
    let bands = [Band { from_s: 2.0, to_s: 4.0, label: "refused".to_owned() }];
    let svg = timeline("t", &outcome.runs, &bands, (0.0, 12.0));
    sound(&svg);
    assert!(svg.contains(">refused</text>"), "{svg}");
    let requests: u64 = outcome.runs.iter().map(|run| run.report.counts.started).sum();
    // The ground, the key of requests, and that of failed ones have no bars.
    let bars = svg.matches("fill=\"#0072b2\"").count() as u64;
    assert_eq!(bars, requests + 1);
}

#[test]
fn each_axis_has_marks_and_a_title_with_its_unit() {
    let outcome = samples::outcome();
    let parts = Fates { confirmed: 0.5, failed: 0.2, skipped: 0.2, never_due: 0.1 };
    let lags: Vec<_> = outcome.runs.iter().map(|run| (run.contender, &run.report.lag)).collect();
    let bar = Bar { contender: Contender::Cron, amount: 20.0 };
    for (name, svg, titles, marks) in [
        (
            "fates",
            fates("t", &[("An API", vec![("cron", parts)])]),
            &["part of the trips that the load asks for, %"][..],
            &["0", "20", "100"][..],
        ),
        (
            "timeline",
            timeline("t", &outcome.runs, &[], (0.0, 10.0)),
            &["time since the beginning, s"],
            &["0", "10"],
        ),
        (
            "percentiles",
            percentiles("t", "start lag", &lags),
            &["percentile of the requests", "start lag, ms"],
            &["0%", "50%", "90%", "1"],
        ),
        (
            "growth",
            growth("t", 10.0, 30.0, &[(Contender::Loop, vec![(9.0, 270)])]),
            &["time, s", "trips confirmed"],
            &["0", "10", "300"],
        ),
        ("bars", bars("t", "memory, MB", &[bar]), &["memory, MB"], &["0", "20"]),
    ] {
        for text in titles.iter().chain(marks) {
            assert!(svg.contains(&format!(">{text}</text>")), "{name} lacks {text}: {svg}");
        }
    }
}
