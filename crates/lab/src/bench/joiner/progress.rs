//! How a run went on from its beginning to its end: whether it keeps its rate, and whether its memory grows.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::measure::Sample;
use crate::bench::table::megabytes;
use crate::number::thousands;
use crate::plot::chart::{Axis, Frame, Key, Sign, legend};
use crate::plot::scale::Scale;
use crate::plot::svg::{Stroke, Svg};

/// A run from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Progress {
    /// In ten equal parts; empty if they are too few trips to be told apart.
    pub tenths: Vec<Tenth>,
    #[serde(skip)]
    samples: Vec<Sample>,
}

/// One of ten equal parts of a run's trips.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tenth {
    /// Trips committed at its end.
    pub trips: u64,
    /// Seconds from the start to its end.
    pub at_s: f64,
    /// Trips a second in it.
    pub per_s: f64,
    /// Memory resident at its end, in bytes.
    pub resident_bytes: Option<u64>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
const MEMORY: Stroke = Stroke::solid("#0072b2", 2.2);
const MEGABYTE: f64 = 1e6;

impl Progress {
    /// That of a run of `trips` trips; `samples` are in order of time.
    pub(super) fn of(samples: &[Sample], trips: u64) -> Self {
        Self { tenths: tenths(samples, trips).unwrap_or_default(), samples: samples.to_vec() }
    }

    /// A line for each tenth.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for tenth in &self.tenths {
            let Tenth { trips, at_s, per_s, resident_bytes } = tenth;
            let (trips, rate) = (thousands(*trips as f64), thousands(*per_s));
            let _ = writeln!(
                text,
                "{trips:>12} trips after {at_s:>7.2} s: {rate:>9} trips/s, {:>5} MB",
                megabytes(*resident_bytes)
            );
        }
        text
    }

    /// Memory over time.
    pub fn to_svg(&self) -> String {
        let mut svg = Svg::new(WIDTH, HEIGHT, "The joiner's memory while it reads a backlog");
        let key = Key { text: "resident memory".to_owned(), sign: Sign::Line(MEMORY) };
        let top = legend(&mut svg, &[key]) + 8.0;
        let points: Vec<(f64, f64)> = self
            .samples
            .iter()
            .filter_map(|sample| {
                Some((sample.at.as_secs_f64(), sample.resident? as f64 / MEGABYTE))
            })
            .collect();
        let most = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).fold(1.0, f64::max);
        let x =
            Axis { scale: Scale::from_zero(most(|point| point.0)), title: "time, s".to_owned() };
        let frame = Frame::horizontal(&mut svg, top, 64.0, x);
        let scale = Scale::from_zero(most(|point| point.1) * 1.1);
        let y = Axis { scale, title: "memory, MB".to_owned() };
        frame.vertical(&mut svg, &y);
        let line: Vec<_> =
            points.iter().map(|(at, memory)| (frame.across(*at), frame.up(&y, *memory))).collect();
        svg.polyline(&line, MEMORY);
        svg.finish()
    }
}

fn tenths(samples: &[Sample], trips: u64) -> Option<Vec<Tenth>> {
    let mut tenths = Vec::new();
    let mut before = Sample { at: Duration::ZERO, trips: 0, resident: None };
    for part in 1..=10 {
        let sample = samples.iter().find(|sample| sample.trips >= (trips * part).div_ceil(10))?;
        if sample.at <= before.at {
            return None;
        }
        let took = sample.at.abs_diff(before.at).as_secs_f64();
        tenths.push(Tenth {
            trips: sample.trips,
            at_s: sample.at.as_secs_f64(),
            per_s: (sample.trips - before.trips) as f64 / took,
            resident_bytes: sample.resident,
        });
        before = *sample;
    }
    Some(tenths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Sample> {
        // 100 trips in each tenth; the later ones twice as fast.
        let at = |n: u64| if n <= 5 { n * 1_000 } else { 5_000 + (n - 5) * 500 };
        let sample = |n| Sample {
            at: Duration::from_millis(at(n)),
            trips: n * 100,
            resident: Some(n * 1_000_000),
        };
        (1..=10).map(sample).collect()
    }

    #[test]
    fn a_run_is_cut_into_tenths_of_its_trips() {
        let progress = Progress::of(&samples(), 1_000);
        let rates: Vec<_> =
            progress.tenths.iter().map(|tenth| tenth.per_s.round() as u64).collect();
        assert_eq!(rates, [100, 100, 100, 100, 100, 200, 200, 200, 200, 200]);
        assert_eq!(progress.tenths[9].resident_bytes, Some(10_000_000));
        let last = "       1,000 trips after    7.50 s:       200 trips/s,    10 MB\n";
        assert!(progress.to_text().ends_with(last), "{}", progress.to_text());
    }

    #[test]
    fn what_was_not_seen_is_not_made_up() {
        assert_eq!(Progress::of(&samples()[..9], 1_000).tenths, []);
        assert_eq!(Progress::of(&[], 1_000).to_text(), "");
    }

    #[test]
    fn the_plot_has_its_units() {
        let svg = Progress::of(&samples(), 1_000).to_svg();
        assert!(svg.contains(">memory, MB<") && svg.contains(">time, s<"), "{svg}");
    }
}
