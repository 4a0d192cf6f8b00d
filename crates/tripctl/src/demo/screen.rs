//! A view that stays in place on a terminal, with plain ANSI sequences.

use std::fmt::Write as _;
use std::io::{IsTerminal, Stdout, Write};

const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";
const CLEAR_SCREEN: &str = "\x1b[2J\x1b[H";
const CLEAR_TO_END_OF_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// How large a terminal is, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    columns: usize,
    rows: usize,
}

/// Standard output, or what stands for it. Write errors are left alone: a reader that went away is no reason to leave
/// services running or trips unchecked.
#[derive(Debug)]
pub(super) struct Screen<W: Write> {
    out: W,
    live: bool,
    /// What is drawn now, and on which size.
    drawn: Option<(usize, Size)>,
}

impl Screen<Stdout> {
    /// A live screen if standard output is a terminal that can move its cursor.
    pub(super) fn stdout() -> Self {
        let out = std::io::stdout();
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let live = out.is_terminal() && !dumb;
        Self { out, live, drawn: None }
    }

    /// Shows `frame` in the place of the one before.
    pub(super) fn draw(&mut self, frame: &[String]) {
        let size = terminal_size::terminal_size().map_or(
            Size { columns: 80, rows: 24 },
            |(width, height)| Size { columns: width.0.into(), rows: height.0.into() },
        );
        self.draw_on(frame, size);
    }
}

impl<W: Write> Screen<W> {
    /// Whether frames can be drawn.
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    /// Writes a line below all that is there. The frame that was drawn last stays as it is.
    pub(super) fn say(&mut self, line: &str) {
        self.finish();
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
    }

    fn draw_on(&mut self, frame: &[String], size: Size) {
        let mut text = String::new();
        match self.drawn {
            Some((lines, same)) if same == size => {
                let _ = write!(text, "\x1b[{lines}A\r");
            }
            // Terminals differ in what they make of lines when they are resized: start anew.
            Some(_) => text.push_str(CLEAR_SCREEN),
            None => text.push_str(HIDE_CURSOR),
        }
        // The cursor's line below is the one that must fit, too, lest the first one scrolls out of reach.
        let shown = &frame[..frame.len().min(size.rows.saturating_sub(1))];
        for line in shown {
            text.extend(line.chars().take(size.columns));
            text.push_str(CLEAR_TO_END_OF_LINE);
            text.push('\n');
        }
        text.push_str(CLEAR_BELOW);
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        self.drawn = Some((shown.len(), size));
    }

    /// Leaves the last frame as it is and gives the cursor back.
    fn finish(&mut self) {
        if self.drawn.take().is_some() {
            let _ = self.out.write_all(SHOW_CURSOR.as_bytes()).and_then(|()| self.out.flush());
        }
    }
}

impl<W: Write> Drop for Screen<W> {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Size = Size { columns: 80, rows: 24 };

    fn screen(out: &mut Vec<u8>) -> Screen<&mut Vec<u8>> {
        Screen { out, live: true, drawn: None }
    }

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    fn written(draw: impl FnOnce(&mut Screen<&mut Vec<u8>>)) -> String {
        let mut out = Vec::new();
        draw(&mut screen(&mut out));
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_frame_takes_the_place_of_the_one_before_and_the_cursor_comes_back() {
        let text = written(|screen| {
            screen.draw_on(&lines(&["a", "b"]), WIDE);
            screen.draw_on(&lines(&["c"]), WIDE);
            screen.draw_on(&lines(&["d"]), WIDE);
            screen.say("end");
        });
        let expected = "\x1b[?25la\x1b[K\nb\x1b[K\n\x1b[J\x1b[2A\rc\x1b[K\n\x1b[J\x1b[1A\rd\x1b[K\n\x1b[J\x1b[?25hend\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn lines_are_cut_to_the_width_so_that_none_wraps() {
        let text = written(|screen| {
            screen.draw_on(&lines(&["12345678", "ü2345", ""]), Size { columns: 4, rows: 24 });
        });
        assert!(text.contains("l1234\x1b[K\nü234\x1b[K\n\x1b[K\n"), "{text:?}");
    }

    #[test]
    fn a_frame_is_never_higher_than_the_terminal() {
        let size = Size { columns: 80, rows: 3 };
        let text = written(|screen| {
            screen.draw_on(&lines(&["1", "2", "3", "4"]), size);
            screen.draw_on(&lines(&["1", "2", "3", "4"]), size);
        });
        assert_eq!(text.matches('\n').count(), 4, "{text:?}");
        assert!(text.contains("\x1b[2A"), "{text:?}");
    }

    #[test]
    fn on_a_terminal_of_another_size_it_starts_anew() {
        let text = written(|screen| {
            screen.draw_on(&lines(&["a"]), WIDE);
            screen.draw_on(&lines(&["b"]), Size { columns: 20, rows: 24 });
        });
        assert!(text.contains("\x1b[2J\x1b[Hb\x1b[K\n"), "{text:?}");
    }

    #[test]
    fn the_cursor_comes_back_even_if_nothing_more_is_said() {
        assert!(written(|screen| screen.draw_on(&lines(&["a"]), WIDE)).ends_with(SHOW_CURSOR));
        assert_eq!(written(|_| {}), "");
        assert_eq!(written(|screen| screen.say("a")), "a\n");
    }
}
