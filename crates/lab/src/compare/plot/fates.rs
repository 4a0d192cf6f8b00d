//! What became of the trips that the load asks for, as parts of a bar, scenario by scenario.

use crate::plot::chart::{Axis, Frame, Key, Sign, legend};
use crate::plot::scale::Scale;
use crate::plot::svg::{Anchor, Stroke, Svg};

const WIDTH: f64 = 720.0;
const BAR: f64 = 17.0;
const GAP: f64 = 5.0;
/// The height of a group's title.
const HEADING: f64 = 24.0;

const CONFIRMED: &str = "#0072b2";
const FAILED: &str = "#cc3311";
const SKIPPED: &str = "#e69f00";
const NEVER_DUE: &str = "#bbbbbb";

/// Parts of what was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::compare) struct Fates {
    pub(in crate::compare) confirmed: f64,
    pub(in crate::compare) failed: f64,
    pub(in crate::compare) skipped: f64,
    /// The schedule never came to ask for them.
    pub(in crate::compare) never_due: f64,
}

/// For each scenario its title, and for each contender its name and what became of its trips.
pub(in crate::compare) fn fates(title: &str, groups: &[(&str, Vec<(&str, Fates)>)]) -> String {
    let bars = |group: &(&str, Vec<_>)| HEADING + group.1.len() as f64 * (BAR + GAP);
    let height = 34.0 + groups.iter().map(bars).sum::<f64>() + 60.0;
    let mut svg = Svg::new(WIDTH, height, title);
    let key = |text: &str, color| Key { text: text.to_owned(), sign: Sign::Block(color) };
    let keys = [
        key("confirmed", CONFIRMED),
        key("failed", FAILED),
        key("skipped", SKIPPED),
        key("never due", NEVER_DUE),
    ];
    let top = legend(&mut svg, &keys);
    let x = Axis {
        scale: Scale::from_zero(100.0),
        title: "part of the trips that the load asks for, %".to_owned(),
    };
    let frame = Frame::horizontal(&mut svg, top, 100.0, x);
    let mut y = top;
    for (heading, contenders) in groups {
        svg.label((frame.left, y + HEADING - 7.0), Anchor::Start, heading);
        y += HEADING;
        for (name, fates) in contenders {
            svg.label((frame.left - 10.0, y + BAR - 4.0), Anchor::End, name);
            draw(&mut svg, &frame, y, *fates);
            y += BAR + GAP;
        }
    }
    svg.line((frame.left, top), (frame.left, frame.bottom), Stroke::solid("#333333", 1.0));
    svg.finish()
}

fn draw(svg: &mut Svg, frame: &Frame, y: f64, fates: Fates) {
    let Fates { confirmed, failed, skipped, never_due } = fates;
    let parts =
        [(confirmed, CONFIRMED), (failed, FAILED), (skipped, SKIPPED), (never_due, NEVER_DUE)];
    let mut sum = 0.0;
    for (part, color) in parts {
        let from = frame.across(sum * 100.0);
        sum += part;
        svg.rect((from, y), (frame.across(sum * 100.0) - from, BAR), color, 1.0);
    }
}
