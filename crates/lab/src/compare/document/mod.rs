//! A report as a list of blocks, and the two forms that it is written in.

mod html;
mod markdown;

pub(super) use html::html;
pub(super) use markdown::markdown;

/// A part of a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Block {
    /// A heading, 1 being that of the whole.
    Heading(u8, String),
    Text(String),
    List(Vec<String>),
    Table(Table),
    Figures(Vec<Figure>),
}

/// A table; the first column is text, the others are numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Table {
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

/// A plot.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    /// The name of its file.
    pub(super) file: String,
    /// What it shows: the caption, and what is read out in place of it.
    pub(super) caption: String,
    pub(super) svg: String,
}
