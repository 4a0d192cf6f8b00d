//! SVG as text: shapes with their attributes, on a white ground.

use std::fmt::{Display, Write};

/// Lines and letters of axes.
pub(crate) const INK: &str = "#333333";
/// Lines of the grid.
pub(crate) const GRID: &str = "#dddddd";
/// The size of letters.
pub(crate) const FONT: f64 = 13.0;
/// About how wide a letter is, on average.
const LETTER: f64 = FONT * 0.56;

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stroke {
    pub(crate) color: &'static str,
    pub(crate) width: f64,
    /// Lengths of dashes and gaps; none for a solid line.
    pub(crate) dashes: Option<&'static str>,
}

impl Stroke {
    pub(crate) const fn solid(color: &'static str, width: f64) -> Self {
        Self { color, width, dashes: None }
    }

    pub(crate) const fn dashed(color: &'static str, width: f64, dashes: &'static str) -> Self {
        Self { color, width, dashes: Some(dashes) }
    }
}

/// Which end of a text its position means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// From one place to another.
pub(crate) type Segment = ((f64, f64), (f64, f64));

/// A drawing under way.
#[derive(Debug)]
pub(crate) struct Svg {
    pub(crate) width: f64,
    pub(crate) height: f64,
    text: String,
}

impl Svg {
    /// An empty drawing; `title` is what is read out in place of it.
    pub(crate) fn new(width: f64, height: f64, title: &str) -> Self {
        let mut svg = Self { width, height, text: String::new() };
        svg.push(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\" font-family=\"system-ui, 'DejaVu Sans', sans-serif\" font-size=\"{FONT}\">\
             <title>{}</title>",
            escape(title)
        ));
        svg.rect((0.0, 0.0), (width, height), "#ffffff", 1.0);
        svg
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke) {
        self.polyline(&[from, to], stroke);
    }

    pub(crate) fn polyline(&mut self, points: &[(f64, f64)], stroke: Stroke) {
        let mut path = String::new();
        for (index, (x, y)) in points.iter().enumerate() {
            let command = if index == 0 { 'M' } else { 'L' };
            write!(path, "{command}{x:.1} {y:.1}").expect(INFALLIBLE);
        }
        self.path(&path, stroke);
    }

    /// Lines that have nothing to do with each other, as one shape.
    pub(crate) fn segments(&mut self, segments: &[Segment], stroke: Stroke) {
        let mut path = String::new();
        for ((x1, y1), (x2, y2)) in segments {
            write!(path, "M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}").expect(INFALLIBLE);
        }
        self.path(&path, stroke);
    }

    pub(crate) fn rect(
        &mut self,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        color: &str,
        opacity: f64,
    ) {
        self.push(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{color}\" \
             fill-opacity=\"{opacity}\"/>"
        ));
    }

    pub(crate) fn circle(&mut self, (x, y): (f64, f64), radius: f64, color: &str) {
        self.push(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{color}\"/>"
        ));
    }

    /// Text whose line stands on `y`.
    pub(crate) fn label(&mut self, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        self.letters(&format!("x=\"{x:.1}\" y=\"{y:.1}\""), anchor, text);
    }

    /// Text that runs upwards.
    pub(crate) fn label_upwards(&mut self, (x, y): (f64, f64), text: &str) {
        let place = format!("transform=\"translate({x:.1} {y:.1}) rotate(-90)\"");
        self.letters(&place, Anchor::Middle, text);
    }

    pub(crate) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    fn letters(&mut self, place: &str, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escape(text);
        self.push(format_args!(
            "<text {place} text-anchor=\"{anchor}\" fill=\"{INK}\">{text}</text>"
        ));
    }

    fn path(&mut self, path: &str, Stroke { color, width, dashes }: Stroke) {
        if path.is_empty() {
            return;
        }
        let dashes =
            dashes.map(|dashes| format!(" stroke-dasharray=\"{dashes}\"")).unwrap_or_default();
        self.push(format_args!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\"{dashes}/>"
        ));
    }

    fn push(&mut self, element: impl Display) {
        writeln!(self.text, "{element}").expect(INFALLIBLE);
    }
}

const INFALLIBLE: &str = "writing to a String does not fail";

/// About how wide `text` is.
pub(crate) fn width_of(text: &str) -> f64 {
    text.chars().count() as f64 * LETTER
}

/// `text` as it may stand in XML and HTML, also between double quotes.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
