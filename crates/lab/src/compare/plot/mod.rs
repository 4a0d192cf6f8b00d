//! The plots of the comparison, each kind in its file.

mod bars;
mod fates;
mod growth;
mod percentiles;
mod timeline;

pub(super) use bars::{Bar, bars};
pub(super) use fates::{Fates, fates};
pub(super) use growth::growth;
pub(super) use percentiles::percentiles;
pub(super) use timeline::timeline;

use super::scenario::Contender;
pub(super) use crate::plot::escape;
use crate::plot::svg::Stroke;

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
