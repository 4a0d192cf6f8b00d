//! A process group that ends with this process, however that ends.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use crate::error::ProcessError;

/// Waits for the end of a pipe that only we hold the other end of, then kills its own group. The system closes the pipe
/// even if we are killed ourselves. A group's number stays taken while a member lives, so nobody else is ever hit.
const WATCHDOG: &str = "trap '' HUP INT TERM; read -r _; kill -KILL 0";

/// A group of processes of its own: the terminal's Ctrl-C does not reach it, and none of it outlives this process.
#[derive(Debug)]
pub(crate) struct Group {
    watchdog: Child,
}

impl Group {
    /// A group with nobody in it but the one who watches us.
    ///
    /// # Errors
    ///
    /// [`ProcessError::System`] if there is no `sh`.
    pub(crate) fn new() -> Result<Self, ProcessError> {
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(ProcessError::system("starting", "sh"))?;
        Ok(Self { watchdog })
    }

    /// What a new member gives as its group.
    pub(crate) fn id(&self) -> i32 {
        i32::try_from(self.watchdog.id()).expect("pid_t is an i32")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        // It kills itself with the others.
        let _ = self.watchdog.wait();
    }
}
