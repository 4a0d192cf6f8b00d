//! One line below the log that changes in place, where the log goes to a terminal as text.

use std::io::{self, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

static LIVE: AtomicBool = AtomicBool::new(false);
/// The line, cut to the width of the terminal. Finished while none is shown.
static LINE: LazyLock<ProgressBar> = LazyLock::new(|| {
    let target =
        if is_live() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{wide_msg}").expect("a valid template");
    let line = ProgressBar::with_draw_target(None, target).with_style(style);
    line.finish_and_clear();
    line
});

/// Whether the log of this process goes to a terminal as text, so that [`show`] does something.
pub fn is_live() -> bool {
    LIVE.load(Ordering::Relaxed)
}

pub(crate) fn set_live(live: bool) {
    LIVE.store(live, Ordering::Relaxed);
}

/// Shows `line` in place of the one before.
pub fn show(line: &str) {
    if LINE.is_finished() {
        LINE.reset();
    }
    LINE.set_message(line.to_owned());
}

/// Takes the line away.
pub fn clear() {
    LINE.finish_and_clear();
}

/// Standard error for the log: its lines come above the one that is shown.
#[derive(Debug)]
pub(crate) struct AboveStatus;

impl Write for AboveStatus {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        LINE.suspend(|| io::stderr().write(event))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_nothing_is_shown() {
        assert!(!is_live());
        show("12 in flight");
        assert!(LINE.is_hidden());
        clear();
        assert!(LINE.is_finished());
    }
}
