//! Plots as SVG: no scripts, no files beside them, readable in print.
//!
//! `scale` places values on an axis, `svg` writes shapes, `chart` draws axes and legends. What is plotted, and how it
//! looks, is up to those who plot.

pub(crate) mod chart;
pub(crate) mod scale;
pub(crate) mod svg;

pub(crate) use svg::escape;
