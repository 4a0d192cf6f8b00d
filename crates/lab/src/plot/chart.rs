//! A chart's frame: axes with units, a grid, and a legend above it. It maps values to places.

use super::scale::Scale;
use super::svg::{Anchor, GRID, INK, Stroke, Svg, width_of};

/// An axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    pub(crate) scale: Scale,
    /// What it shows, with its unit.
    pub(crate) title: String,
}

/// What a sign in the chart means.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) sign: Sign,
}

/// How a key's sign looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Sign {
    Line(Stroke),
    Block(&'static str),
}

/// The part of a drawing in which values have places.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
    pub(crate) x: Axis,
}

const MARGIN: f64 = 12.0;
const ROW: f64 = 20.0;
const SIGN: f64 = 22.0;

/// Draws the keys in as many rows as they need; returns the height that is taken.
pub(crate) fn legend(svg: &mut Svg, keys: &[Key]) -> f64 {
    let (mut x, mut y) = (MARGIN, MARGIN + 4.0);
    for Key { text, sign } in keys {
        let width = SIGN + 6.0 + width_of(text) + 18.0;
        if x > MARGIN && x + width - 18.0 > svg.width - MARGIN {
            (x, y) = (MARGIN, y + ROW);
        }
        match sign {
            Sign::Line(stroke) => svg.line((x, y), (x + SIGN, y), *stroke),
            Sign::Block(color) => svg.rect((x + 4.0, y - 6.0), (14.0, 12.0), color, 1.0),
        }
        svg.label((x + SIGN + 6.0, y + 4.5), Anchor::Start, text);
        x += width;
    }
    y + ROW - 4.0
}

impl Frame {
    /// Draws the horizontal axis at the lower end of a frame that begins at `top`, with its grid; `left` is kept free
    /// for what stands beside it.
    pub(crate) fn horizontal(svg: &mut Svg, top: f64, left: f64, x: Axis) -> Self {
        let (right, bottom) = (svg.width - 22.0, svg.height - 44.0);
        let frame = Self { left, right, top, bottom, x };
        let room = ((right - left) / 60.0) as usize;
        for mark in frame.x.scale.marks(room) {
            let at = left + mark.position * (right - left);
            svg.line((at, top), (at, bottom), Stroke::solid(GRID, 1.0));
            svg.label((at, bottom + 17.0), Anchor::Middle, &mark.label);
        }
        svg.line((left, bottom), (right, bottom), Stroke::solid(INK, 1.0));
        svg.label((f64::midpoint(left, right), svg.height - 8.0), Anchor::Middle, &frame.x.title);
        frame
    }

    /// Draws the vertical axis and its grid.
    pub(crate) fn vertical(&self, svg: &mut Svg, y: &Axis) {
        let room = ((self.bottom - self.top) / 36.0) as usize;
        for mark in y.scale.marks(room) {
            let at = self.bottom - mark.position * (self.bottom - self.top);
            svg.line((self.left, at), (self.right, at), Stroke::solid(GRID, 1.0));
            svg.label((self.left - 6.0, at + 4.5), Anchor::End, &mark.label);
        }
        svg.line((self.left, self.top), (self.left, self.bottom), Stroke::solid(INK, 1.0));
        svg.label_upwards((15.0, f64::midpoint(self.top, self.bottom)), &y.title);
    }

    /// Where `value` lies from left to right.
    pub(crate) fn across(&self, value: f64) -> f64 {
        self.left + self.x.scale.position(value) * (self.right - self.left)
    }

    /// Where `value` of a vertical axis lies.
    pub(crate) fn up(&self, y: &Axis, value: f64) -> f64 {
        self.bottom - y.scale.position(value) * (self.bottom - self.top)
    }
}
