//! A document as one HTML file that needs nothing beside it.

use super::{Block, Table};
use crate::compare::plot::escape;

const STYLE: &str = "\
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 1180px; padding: 1rem; background: #fff; color: #222;
  font: 16px/1.5 system-ui, 'DejaVu Sans', sans-serif; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.35rem; margin-top: 2.2rem; border-top: 1px solid #ddd; padding-top: 1rem; }
p, li { max-width: 56rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { padding: 0.25rem 0.7rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem 2rem; }
figure { margin: 0.6rem 0; max-width: 100%; }
figure svg { display: block; max-width: 100%; height: auto; }
figcaption { font-size: 0.9rem; color: #444; }
";

/// The document.
pub(in crate::compare) fn html(title: &str, blocks: &[Block]) -> String {
    let body = blocks.iter().map(part).collect::<Vec<_>>().concat();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        escape(title)
    )
}

fn part(block: &Block) -> String {
    match block {
        Block::Heading(level, text) => format!("<h{level}>{}</h{level}>\n", escape(text)),
        Block::Text(text) => format!("<p>{}</p>\n", escape(text)),
        Block::List(items) => {
            let items = items
                .iter()
                .map(|item| format!("<li>{}</li>\n", escape(item)))
                .collect::<Vec<_>>()
                .concat();
            format!("<ul>\n{items}</ul>\n")
        }
        Block::Table(table) => rows(table),
        Block::Figures(shown) => {
            let figures = shown
                .iter()
                .map(|figure| {
                    let caption = escape(&figure.caption);
                    format!(
                        "<figure>\n<figcaption>{caption}</figcaption>\n{}</figure>\n",
                        figure.svg
                    )
                })
                .collect::<Vec<_>>()
                .concat();
            format!("<div class=\"figures\">\n{figures}</div>\n")
        }
    }
}

fn rows(Table { head, rows }: &Table) -> String {
    let row = |tag: &str, cells: &[String]| {
        let cells = cells
            .iter()
            .map(|cell| format!("<{tag}>{}</{tag}>", escape(cell)))
            .collect::<Vec<_>>()
            .concat();
        format!("<tr>{cells}</tr>\n")
    };
    let body = rows.iter().map(|cells| row("td", cells)).collect::<Vec<_>>().concat();
    format!(
        "<div class=\"scroll\"><table>\n<thead>\n{}</thead>\n<tbody>\n{body}</tbody>\n</table></div>\n",
        row("th", head)
    )
}
