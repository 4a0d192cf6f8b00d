//! Plots as SVG: no scripts, no files beside them, readable in print.
//!
//! `scale` places values on an axis, `svg` writes shapes, `chart` draws axes and legends; each of the other files is one
//! kind of plot.

mod bars;
mod chart;
mod fates;
mod growth;
mod percentiles;
mod scale;
mod svg;
mod timeline;

pub(super) use bars::{Bar, bars};
pub(super) use fates::{Fates, fates};
pub(super) use growth::growth;
pub(super) use percentiles::percentiles;
pub(super) use scale::plain;
pub(super) use svg::escape;
pub(super) use timeline::timeline;

use super::scenario::Contender;
use svg::Stroke;

/// The line of a contender: told apart by its dashes, too, where colours can't be. The colours are Okabe and Ito's.
const fn line_of(contender: Contender) -> Stroke {
    match contender {
        Contender::Cron => Stroke::dashed("#d55e00", 2.2, "9 4"),
        Contender::Loop => Stroke::solid("#0072b2", 2.2),
        Contender::ClosedLoop => Stroke::dashed("#009e73", 2.2, "2.5 2.5"),
    }
}

#[cfg(test)]
mod tests;
