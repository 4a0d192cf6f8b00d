//! A report as Markdown, and the page that is rendered from it.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html::push_html};

use super::plot::escape;

/// A document under way. Its figures lie in files beside it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document {
    markdown: String,
    /// The directory of the figures, as seen from the document.
    directory: String,
    /// In the order in which they are shown.
    figures: Vec<Figure>,
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

impl Document {
    /// An empty one, whose figures will lie in `directory` beside it.
    pub(super) fn new(directory: &str) -> Self {
        Self { markdown: String::new(), directory: directory.to_owned(), figures: Vec::new() }
    }

    /// Appends a heading, 1 being that of the whole.
    pub(super) fn heading(&mut self, level: usize, text: &str) {
        self.part(&format!("{} {text}\n", "#".repeat(level)));
    }

    pub(super) fn paragraph(&mut self, text: &str) {
        self.part(&format!("{text}\n"));
    }

    pub(super) fn list(&mut self, items: &[String]) {
        let items: Vec<_> = items.iter().map(|item| format!("- {item}\n")).collect();
        self.part(&items.concat());
    }

    pub(super) fn table(&mut self, Table { head, rows }: &Table) {
        let cell = |cell: &String| cell.replace('\n', " ").replace('|', "\\|");
        let line = |cells: &[String]| cells.iter().map(cell).collect::<Vec<_>>().join(" | ");
        let rule = (0..head.len()).map(|column| if column == 0 { "---" } else { "---:" });
        let mut lines = vec![line(head), rule.collect::<Vec<_>>().join(" | ")];
        lines.extend(rows.iter().map(|row| line(row)));
        let lines: Vec<_> = lines.into_iter().map(|line| format!("| {line} |\n")).collect();
        self.part(&lines.concat());
    }

    /// Appends figures that are to be seen side by side where there is room: one paragraph.
    pub(super) fn figures(&mut self, figures: Vec<Figure>) {
        let image = |figure: &Figure| {
            let path = format!("{}/{}", self.directory, figure.file);
            // A path with a space must be marked as one.
            let plain = path.chars().all(|c| c.is_alphanumeric() || "-_./".contains(c));
            let path = if plain { path } else { format!("<{path}>") };
            format!("![{}]({path})\n", figure.caption)
        };
        let images: Vec<_> = figures.iter().map(image).collect();
        self.part(&images.concat());
        self.figures.extend(figures);
    }

    /// What belongs into the file.
    pub(super) fn markdown(&self) -> &str {
        &self.markdown
    }

    /// What belongs into the files beside it.
    pub(super) fn all_figures(&self) -> &[Figure] {
        &self.figures
    }

    /// The document as one HTML file that needs nothing beside it.
    pub(super) fn to_html(&self, title: &str) -> String {
        let mut body = String::new();
        push_html(&mut body, self.events().into_iter());
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
            escape(title)
        )
    }

    /// The parts of the page: those of the Markdown, but with each figure in place of the link to it.
    fn events(&self) -> Vec<Event<'_>> {
        let mut figures = self.figures.iter();
        let mut among_figures = false;
        let mut events = Vec::new();
        let mut parser = Parser::new_ext(&self.markdown, Options::ENABLE_TABLES).peekable();
        while let Some(event) = parser.next() {
            match event {
                Event::Start(Tag::Paragraph)
                    if matches!(parser.peek(), Some(Event::Start(Tag::Image { .. }))) =>
                {
                    among_figures = true;
                    events.push(Event::Html("<div class=\"figures\">\n".into()));
                }
                Event::End(TagEnd::Paragraph) if among_figures => {
                    among_figures = false;
                    events.push(Event::Html("</div>\n".into()));
                }
                Event::Start(Tag::Image { .. }) => {
                    let figure = figures.next().expect("each image was made of a figure");
                    events.push(Event::Html(figure.to_html().into()));
                }
                // The image's text, and the line ends between images.
                _ if among_figures => {}
                Event::Start(Tag::Table(_)) => {
                    events.extend([Event::Html("<div class=\"scroll\">\n".into()), event]);
                }
                Event::End(TagEnd::Table) => {
                    events.extend([event, Event::Html("</div>\n".into())]);
                }
                other => events.push(other),
            }
        }
        events
    }

    fn part(&mut self, text: &str) {
        if !self.markdown.is_empty() {
            self.markdown.push('\n');
        }
        self.markdown.push_str(text);
    }
}

impl Figure {
    fn to_html(&self) -> String {
        let caption = escape(&self.caption);
        format!("<figure>\n<figcaption>{caption}</figcaption>\n{}</figure>\n", self.svg)
    }
}

const STYLE: &str = "\
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 1180px; padding: 1rem; background: #fff; color: #222;
  font: 16px/1.5 system-ui, 'DejaVu Sans', sans-serif; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.35rem; margin-top: 2.2rem; border-top: 1px solid #ddd; padding-top: 1rem; }
p, li { max-width: 56rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { padding: 0.25rem 0.7rem; border-bottom: 1px solid #ddd; text-align: left; white-space: nowrap; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem 2rem; }
figure { margin: 0.6rem 0; max-width: 100%; }
figure svg { display: block; max-width: 100%; height: auto; }
figcaption { font-size: 0.9rem; color: #444; }
";

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(name: &str) -> Figure {
        Figure {
            file: format!("{name}.svg"),
            caption: format!("{name} < all"),
            svg: format!("<svg>{name}</svg>\n"),
        }
    }

    #[test]
    fn the_page_shows_what_the_markdown_says_and_its_figures_themselves() {
        let mut document = Document::new("a report");
        document.heading(1, "Title");
        document.paragraph("one <= two & three");
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        document.table(&Table { head: row(["", "n"]), rows: vec![row(["a|b", "1,000"])] });
        document.figures(vec![figure("x"), figure("y")]);
        document.list(&["in_flight_full 3".to_owned()]);
        insta::assert_snapshot!(document.markdown(), @r"
        # Title

        one <= two & three

        |  | n |
        | --- | ---: |
        | a\|b | 1,000 |

        ![x < all](<a report/x.svg>)
        ![y < all](<a report/y.svg>)

        - in_flight_full 3
        ");
        let page = document.to_html("T");
        let body = page.split_once("<body>").expect("a body").1;
        insta::assert_snapshot!(body.trim(), @r#"
        <h1>Title</h1>
        <p>one &lt;= two &amp; three</p>
        <div class="scroll">
        <table><thead><tr><th></th><th style="text-align: right">n</th></tr></thead><tbody>
        <tr><td>a|b</td><td style="text-align: right">1,000</td></tr>
        </tbody></table>
        </div>
        <div class="figures">
        <figure>
        <figcaption>x &lt; all</figcaption>
        <svg>x</svg>
        </figure>
        <figure>
        <figcaption>y &lt; all</figcaption>
        <svg>y</svg>
        </figure>
        </div>
        <ul>
        <li>in_flight_full 3</li>
        </ul>
        </body>
        </html>
        "#);
    }
}
