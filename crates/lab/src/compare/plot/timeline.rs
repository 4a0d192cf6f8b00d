//! When requests were meant to start, when they did, and how long they took: a lane for each contender.

use trip_client::{TickOutcome, TickRecord};

use crate::compare::run::{Band, Run};
use crate::plot::chart::{Axis, Frame, Key, Sign, legend};
use crate::plot::scale::Scale;
use crate::plot::svg::{Anchor, FONT, GRID, INK, Stroke, Svg};

const WIDTH: f64 = 720.0;
/// Free space above a lane's marks, and below its requests.
const PAD: f64 = 6.0;
/// Height of the marks of intended starts, and of the slope from there to the actual ones.
const MARK: f64 = 9.0;
const SLOPE: f64 = 20.0;
/// Requests under way lie one below the other, as many as there may be.
const SLOTS: usize = crate::compare::scenario::MAX_IN_FLIGHT;
const SLOT: f64 = 6.0;
/// A lane leaves room for a few, even if there is only one.
const LEAST_SLOTS: usize = 3;

/// Heights of what stands above the lanes and below them.
const LEGEND: f64 = 56.0;
const AXIS: f64 = 44.0;

const INTENDED: Stroke = Stroke::solid("#666666", 1.2);
const SHIFT: Stroke = Stroke::solid("#9ecae1", 1.0);
const SKIPPED: &str = "#e69f00";
const ANSWERED: &str = "#0072b2";
const FAILED: &str = "#cc3311";
const BAND: &str = "#f2e6ee";

/// From `window.0` to `window.1`, in seconds since the scenario's beginning.
pub(in crate::compare) fn timeline(
    title: &str,
    runs: &[Run],
    bands: &[Band],
    window: (f64, f64),
) -> String {
    let banner = if bands.is_empty() { 0.0 } else { 20.0 };
    let lanes: Vec<_> = runs.iter().map(|run| (run, requests(&run.ticks, run.offset_s))).collect();
    let height_of = |bars: &[Bar]| {
        let slots = bars.iter().map(|bar| bar.slot + 1).max().unwrap_or(0).max(LEAST_SLOTS);
        PAD + MARK + SLOPE + SLOT * slots as f64 + PAD
    };
    let all_lanes: f64 = lanes.iter().map(|(_, bars)| height_of(bars)).sum();
    let mut svg = Svg::new(WIDTH, LEGEND + banner + all_lanes + AXIS, title);
    let key = |text: &str, sign| Key { text: text.to_owned(), sign };
    let keys = [
        key("intended start", Sign::Line(INTENDED)),
        key("skipped", Sign::Block(SKIPPED)),
        key("from intended to actual start", Sign::Line(Stroke { width: 2.0, ..SHIFT })),
        key("request until its answer", Sign::Block(ANSWERED)),
        key("failed", Sign::Block(FAILED)),
    ];
    legend(&mut svg, &keys);
    let top = LEGEND + banner;
    let scale = Scale::Linear { min: window.0, max: window.1 };
    let x = Axis { scale, title: "time since the beginning, s".to_owned() };
    let frame = Frame::horizontal(&mut svg, top, 100.0, x);
    for band in bands {
        draw_band(&mut svg, &frame, band, banner);
    }
    let mut y = top;
    for (run, bars) in &lanes {
        let height = height_of(bars);
        svg.line((frame.left, y), (frame.right, y), Stroke::solid(GRID, 1.0));
        let middle = y + height / 2.0 + FONT / 3.0;
        svg.label((frame.left - 10.0, middle), Anchor::End, run.contender.name());
        draw_lane(&mut svg, &frame, run, bars, y + PAD, window);
        y += height;
    }
    svg.finish()
}

fn draw_band(svg: &mut Svg, frame: &Frame, band: &Band, banner: f64) {
    let (from, to) = (frame.across(band.from_s), frame.across(band.to_s));
    svg.rect((from, frame.top - banner), (to - from, frame.bottom - frame.top + banner), BAND, 0.8);
    let y = frame.top - banner / 2.0 + FONT / 2.0 - 1.0;
    svg.label((f64::midpoint(from, to), y), Anchor::Middle, &band.label);
}

/// Where a request's bar lies, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bar {
    intended: Option<f64>,
    from: f64,
    to: f64,
    slot: usize,
    failed: bool,
}

/// The requests, each in the lowest slot that is free when it starts.
fn requests(ticks: &[TickRecord], offset_s: f64) -> Vec<Bar> {
    let seconds = |ms: f64| offset_s + ms / 1_000.0;
    let mut started: Vec<_> =
        ticks.iter().filter_map(|tick| Some((tick.started_ms?, tick))).collect();
    started.sort_by(|left, right| left.0.total_cmp(&right.0));
    let mut free_from: Vec<f64> = Vec::new();
    let bar = |(from, tick): (f64, &TickRecord)| {
        let to = tick.finished_ms.unwrap_or(from);
        let free = free_from.iter().position(|until| *until <= from);
        let slot = free.unwrap_or(free_from.len());
        free_from.resize(free_from.len().max(slot + 1), 0.0);
        free_from[slot] = to;
        Bar {
            intended: tick.intended_ms.map(seconds),
            from: seconds(from),
            to: seconds(to),
            slot: slot.min(SLOTS - 1),
            failed: tick.outcome != TickOutcome::Ok,
        }
    };
    started.into_iter().map(bar).collect()
}

fn draw_lane(svg: &mut Svg, frame: &Frame, run: &Run, bars: &[Bar], y: f64, window: (f64, f64)) {
    let inside = |at: f64| (window.0..=window.1).contains(&at);
    let mark = |at: f64| ((frame.across(at), y), (frame.across(at), y + MARK));
    let marks = |skipped: bool| -> Vec<_> {
        let ticks = run.ticks.iter().filter(|tick| tick.started_ms.is_none() == skipped);
        let times = ticks.filter_map(|tick| Some(run.offset_s + tick.intended_ms? / 1_000.0));
        times.filter(|at| inside(*at)).map(mark).collect()
    };
    let actual = y + MARK + SLOPE;
    let shifts: Vec<_> = bars
        .iter()
        .filter_map(|bar| Some((bar.intended?, bar.from)))
        .filter(|(from, to)| inside(*from) && inside(*to))
        .map(|(from, to)| ((frame.across(from), y + MARK), (frame.across(to), actual)))
        .collect();
    svg.segments(&shifts, SHIFT);
    svg.segments(&marks(false), INTENDED);
    svg.segments(&marks(true), Stroke::solid(SKIPPED, 2.4));
    for failed in [false, true] {
        let color = if failed { FAILED } else { ANSWERED };
        for bar in bars.iter().filter(|bar| bar.failed == failed && inside(bar.from)) {
            let (from, to) = (frame.across(bar.from), frame.across(bar.to));
            let place = (from, actual + SLOT * bar.slot as f64);
            svg.rect(place, ((to - from).max(1.6), SLOT - 1.4), color, 1.0);
        }
    }
    // The start itself, which a short request would hide.
    let starts: Vec<_> = bars
        .iter()
        .filter(|bar| inside(bar.from))
        .map(|bar| ((frame.across(bar.from), actual - 3.0), (frame.across(bar.from), actual)))
        .collect();
    svg.segments(&starts, Stroke::solid(INK, 1.2));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_at_once_lie_in_slots_of_their_own() {
        let tick = |started: f64, finished: f64| TickRecord {
            intended_ms: Some(started - 1.0),
            started_ms: Some(started),
            finished_ms: Some(finished),
            outcome: TickOutcome::Ok,
            reason: None,
            job: None,
        };
        // In the order of their ends, as they are logged.
        let ticks = [tick(100.0, 150.0), tick(0.0, 200.0), tick(160.0, 300.0), tick(210.0, 220.0)];
        let slots: Vec<_> = requests(&ticks, 1.0).iter().map(|bar| (bar.from, bar.slot)).collect();
        assert_eq!(slots, [(1.0, 0), (1.1, 1), (1.16, 1), (1.21, 0)]);
    }
}
