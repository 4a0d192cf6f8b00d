//! Distributions of times by percentile, each further nine equally far, as HdrHistogram plots them: the slowest
//! requests get as much room as all others.

use trip_client::Timings;

use super::line_of;
use crate::compare::scenario::Contender;
use crate::plot::chart::{Axis, Frame, Key, Sign, legend};
use crate::plot::scale::Scale;
use crate::plot::svg::{INK, Svg};

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 330.0;
const POINTS: u32 = 300;
/// The shortest time that is told apart from none, in milliseconds.
const FLOOR_MS: f64 = 0.01;

/// The distributions of `what`, such as `latency`. Those of no times are left out.
pub(in crate::compare) fn percentiles(
    title: &str,
    what: &str,
    series: &[(Contender, &Timings)],
) -> String {
    let series: Vec<_> = series.iter().filter(|(_, timings)| timings.count() > 0).collect();
    let mut svg = Svg::new(WIDTH, HEIGHT, title);
    let keys: Vec<_> = series
        .iter()
        .map(|(contender, timings)| Key {
            text: format!("{} ({})", contender.name(), timings.count()),
            sign: Sign::Line(line_of(*contender)),
        })
        .collect();
    let top = legend(&mut svg, &keys) + 8.0;
    let most = series.iter().map(|(_, timings)| timings.count()).max().unwrap_or(10);
    // To the next whole nine: so that the last of them is marked.
    let decades = (most.max(10) as f64).log10().ceil();
    let x =
        Axis { scale: Scale::Quantile { decades }, title: "percentile of the requests".to_owned() };
    let frame = Frame::horizontal(&mut svg, top, 64.0, x);
    let ends = series.iter().flat_map(|(_, t)| [millis(t, 0.0), millis(t, 1.0)]);
    let y = Axis { scale: Scale::decades(ends, FLOOR_MS), title: format!("{what}, ms") };
    frame.vertical(&mut svg, &y);
    for (contender, timings) in series {
        let last = (timings.count() as f64).log10().min(decades);
        let at = |step: u32| {
            let quantile = 1.0 - 10_f64.powf(-last * f64::from(step) / f64::from(POINTS));
            (frame.across(quantile), frame.up(&y, millis(timings, quantile)))
        };
        let mut points: Vec<_> = (0..=POINTS).map(at).collect();
        // The longest of n is where the n-th part of them begins.
        let end = (points[POINTS as usize].0, frame.up(&y, millis(timings, 1.0)));
        points.push(end);
        svg.polyline(&points, line_of(*contender));
        svg.circle(end, 3.0, INK);
    }
    svg.finish()
}

fn millis(timings: &Timings, quantile: f64) -> f64 {
    timings.percentile(quantile * 100.0).as_secs_f64() * 1_000.0
}
