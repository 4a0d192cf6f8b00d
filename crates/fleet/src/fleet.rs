//! A directory and a process group for programs that run together.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::configuration::{self, Configuration};
use crate::devstack;
use crate::environment;
use crate::error::ProcessError;
use crate::group::Group;
use crate::process::Process;
use crate::program::Program;

/// Programs that run together. Each has a directory of its own below the fleet's; none of them outlives the fleet, and
/// of the directory nothing is left unless it is kept.
#[derive(Debug)]
pub struct Fleet {
    // Dropped before the directory in which its members write.
    group: Group,
    dir: TempDir,
}

impl Fleet {
    /// Nobody yet, and a temporary directory whose name begins with `prefix`.
    ///
    /// # Errors
    ///
    /// [`ProcessError::Directory`] if it can't be made, [`ProcessError::System`] if there is no `sh`.
    pub fn new(prefix: &str) -> Result<Self, ProcessError> {
        let dir = tempfile::Builder::new().prefix(prefix).tempdir();
        Ok(Self { dir: dir.map_err(ProcessError::Directory)?, group: Group::new()? })
    }

    /// Where everything is that its members write: the log of each is `NAME.log`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Ends all that still run and leaves the directory, but for the configurations: these have secrets.
    pub fn keep(self) -> PathBuf {
        drop(self.group);
        let dir = self.dir.keep();
        for member in fs::read_dir(&dir).into_iter().flatten().flatten() {
            configuration::delete(&member.path());
        }
        dir
    }

    /// Starts `program` under a `name` that no member has had. It is told `configuration` and nothing else: neither files
    /// nor variables of the user's count.
    ///
    /// # Errors
    ///
    /// [`ProcessError`] if it can't be started.
    pub fn start(
        &self,
        program: Program,
        name: &str,
        configuration: &Configuration,
    ) -> Result<Process, ProcessError> {
        self.launch(program, name, configuration, |_| Vec::new())
    }

    /// Starts a dev stack with its data in the fleet's directory.
    ///
    /// # Errors
    ///
    /// As [`Fleet::start`].
    pub fn start_devstack(&self) -> Result<Process, ProcessError> {
        let (program, configuration) = (Program::Devstack, Configuration::new());
        self.launch(program, program.name(), &configuration, devstack::arguments)
    }

    fn launch(
        &self,
        program: Program,
        name: &str,
        configuration: &Configuration,
        arguments: impl Fn(&Path) -> Vec<OsString>,
    ) -> Result<Process, ProcessError> {
        let dir = self.dir().join(name);
        let config_dir = configuration.write(&dir).map_err(ProcessError::Directory)?;
        let ports_file = dir.join("ports.json");
        let mut command = Command::new(program.binary()?);
        command.arg("--config-dir").arg(config_dir).arg("--ports-file").arg(&ports_file);
        command.args(arguments(&dir));
        environment::isolate(&mut command, std::env::vars_os());
        let log = self.dir().join(format!("{name}.log"));
        let mut process = Process::start(program.name(), command, &log, &self.group)?;
        process.tells(ports_file);
        Ok(process)
    }
}
