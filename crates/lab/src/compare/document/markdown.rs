//! A document as Markdown, its figures in files beside it.

use std::fmt::Write;

use super::{Block, Table};

/// The document; its figures are looked for in `figures`, a directory beside it.
pub(in crate::compare) fn markdown(blocks: &[Block], figures: &str) -> String {
    let parts: Vec<_> = blocks.iter().map(|block| part(block, figures)).collect();
    parts.join("\n")
}

fn part(block: &Block, figures: &str) -> String {
    match block {
        Block::Heading(level, text) => format!("{} {text}\n", "#".repeat(usize::from(*level))),
        Block::Text(text) => format!("{text}\n"),
        Block::List(items) => {
            items.iter().map(|item| format!("- {item}\n")).collect::<Vec<_>>().concat()
        }
        Block::Table(table) => rows(table),
        Block::Figures(shown) => {
            let images: Vec<_> = shown
                .iter()
                .map(|figure| format!("![{}]({figures}/{})\n", figure.caption, figure.file))
                .collect();
            images.join("\n")
        }
    }
}

fn rows(Table { head, rows }: &Table) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | ").replace('\n', " "));
    let mut text = line(head);
    let rule = (0..head.len()).map(|column| if column == 0 { "---" } else { "---:" });
    writeln!(text, "|{}|", rule.collect::<Vec<_>>().join("|"))
        .expect("writing to a String does not fail");
    text.extend(rows.iter().map(|row| line(row)));
    text
}
