//! What a command shows on standard output.

use std::io::{self, ErrorKind, Write};

/// Writes `text` to standard output. A reader that has gone away, such as `head`, is no fault.
///
/// # Errors
///
/// The operating system's.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(io::Error::new(error.kind(), format!("writing to stdout: {error}"))),
        Ok(()) => Ok(()),
    }
}
