//! One line below the log that changes in place, where the log goes to a terminal as text.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Erases the line that the cursor is in, and goes to its beginning (ECMA-48: CR, EL 2).
const ERASE: &[u8] = b"\r\x1b[2K";

static LIVE: AtomicBool = AtomicBool::new(false);
/// The line that is shown now; empty for none.
static SHOWN: Mutex<String> = Mutex::new(String::new());

/// Whether the log of this process goes to a terminal as text, so that [`show`] does something.
pub fn is_live() -> bool {
    LIVE.load(Ordering::Relaxed)
}

pub(crate) fn set_live(live: bool) {
    LIVE.store(live, Ordering::Relaxed);
}

/// Shows `line`, cut to the width of the terminal, in place of the one before.
pub fn show(line: &str) {
    if is_live() {
        let width = terminal_size::terminal_size_of(io::stderr())
            .map_or(80, |(terminal_size::Width(width), _)| usize::from(width));
        replace(line.chars().take(width.saturating_sub(1)).collect());
    }
}

/// Takes the line away.
pub fn clear() {
    if is_live() {
        replace(String::new());
    }
}

fn replace(line: String) {
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut stderr = io::stderr().lock();
    // A terminal that went away is no reason to fail.
    let _ = stderr.write_all(&above(b"", &line)).and_then(|()| stderr.flush());
    *shown = line;
}

/// What to write so that `text` stands where `line` stood, and `line` below it.
fn above(text: &[u8], line: &str) -> Vec<u8> {
    [ERASE, text, line.as_bytes()].concat()
}

/// Standard error for the log: its lines come above the one that is shown.
#[derive(Debug)]
pub(crate) struct AboveStatus;

impl Write for AboveStatus {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stderr = io::stderr().lock();
        if shown.is_empty() {
            return stderr.write(event);
        }
        stderr.write_all(&above(event, &shown))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_takes_the_place_of_the_line_which_moves_below_it() {
        assert_eq!(above(b"INFO hello\n", "12 in flight"), b"\r\x1b[2KINFO hello\n12 in flight");
        assert_eq!(above(b"", ""), b"\r\x1b[2K", "nothing is left of a line that is cleared");
    }

    #[test]
    fn without_a_terminal_nothing_is_shown() {
        assert!(!is_live());
        show("12 in flight");
        assert_eq!(*SHOWN.lock().unwrap(), "");
    }
}
