//! How many trips were confirmed by when: the slope is the throughput.

use super::line_of;
use crate::compare::scenario::Contender;
use crate::plot::chart::{Axis, Frame, Key, Sign, legend};
use crate::plot::scale::Scale;
use crate::plot::svg::{Stroke, Svg};

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 330.0;
const ASKED: Stroke = Stroke::solid("#999999", 1.2);

/// Each contender's confirmations as (seconds, trips), in order of time; and how many trips a second are asked for.
pub(in crate::compare) fn growth(
    title: &str,
    duration_s: f64,
    asked_per_s: f64,
    series: &[(Contender, Vec<(f64, u32)>)],
) -> String {
    let mut svg = Svg::new(WIDTH, HEIGHT, title);
    let mut keys: Vec<_> = series
        .iter()
        .map(|(contender, _)| Key {
            text: contender.name().to_owned(),
            sign: Sign::Line(line_of(*contender)),
        })
        .collect();
    keys.push(Key { text: "asked for".to_owned(), sign: Sign::Line(ASKED) });
    let top = legend(&mut svg, &keys) + 8.0;
    let last = |points: &[(f64, u32)]| points.last().map_or(0.0, |(at, _)| *at);
    let end = series.iter().map(|(_, points)| last(points)).fold(duration_s, f64::max);
    let total = |points: &[(f64, u32)]| points.iter().map(|(_, n)| f64::from(*n)).sum();
    let asked = duration_s * asked_per_s;
    let most = series.iter().map(|(_, points)| total(points)).fold(asked, f64::max);
    let x = Axis { scale: Scale::from_zero(end), title: "time, s".to_owned() };
    let frame = Frame::horizontal(&mut svg, top, 64.0, x);
    let y = Axis { scale: Scale::from_zero(most * 1.02), title: "trips confirmed".to_owned() };
    frame.vertical(&mut svg, &y);
    let place = |at: f64, trips: f64| (frame.across(at), frame.up(&y, trips));
    svg.polyline(&[place(0.0, 0.0), place(duration_s, asked)], ASKED);
    for (contender, points) in series {
        let mut sum = 0.0;
        let mut line = vec![place(0.0, 0.0)];
        for (at, trips) in points {
            line.push(place(*at, sum));
            sum += f64::from(*trips);
            line.push(place(*at, sum));
        }
        svg.polyline(&line, line_of(*contender));
    }
    svg.finish()
}
