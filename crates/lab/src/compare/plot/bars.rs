//! A few amounts side by side.

use super::line_of;
use crate::compare::scenario::Contender;
use crate::number::three_digits;
use crate::plot::chart::{Axis, Frame};
use crate::plot::scale::Scale;
use crate::plot::svg::{Anchor, Svg};

const WIDTH: f64 = 560.0;
const BAR: f64 = 24.0;
const GAP: f64 = 14.0;

/// An amount.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::compare) struct Bar {
    pub(in crate::compare) contender: Contender,
    pub(in crate::compare) amount: f64,
}

/// Amounts of `what`, which names its unit, too.
pub(in crate::compare) fn bars(title: &str, what: &str, amounts: &[Bar]) -> String {
    let height = 20.0 + amounts.len() as f64 * (BAR + GAP) + 48.0;
    let mut svg = Svg::new(WIDTH, height, title);
    let most = amounts.iter().map(|bar| bar.amount).fold(0.0, f64::max);
    // Room for the number behind the longest.
    let x = Axis { scale: Scale::from_zero(most * 1.15), title: what.to_owned() };
    let frame = Frame::horizontal(&mut svg, 14.0, 100.0, x);
    for (index, Bar { contender, amount }) in amounts.iter().enumerate() {
        let y = frame.top + GAP / 2.0 + index as f64 * (BAR + GAP);
        let end = frame.across(*amount);
        svg.rect((frame.left, y), (end - frame.left, BAR), line_of(*contender).color, 1.0);
        svg.label((frame.left - 10.0, y + BAR - 7.0), Anchor::End, contender.name());
        svg.label((end + 6.0, y + BAR - 7.0), Anchor::Start, &three_digits(*amount));
    }
    svg.finish()
}
