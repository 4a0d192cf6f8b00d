//! The running services.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::DemoError;
use super::plan::Role;
use fleet::{Group, Process, ProcessError};

/// How long a service may take to end when it has finished its work.
const EXIT: Duration = Duration::from_secs(15);
/// How long it may take when something has gone wrong already.
const HURRIED_EXIT: Duration = Duration::from_secs(3);

/// All child processes of a demo. None of them outlives it.
#[derive(Debug)]
pub(super) struct Fleet {
    members: Vec<(Role, Process)>,
    group: Group,
    dir: PathBuf,
}

impl Fleet {
    /// Nobody yet; their logs will be in `dir`.
    pub(super) fn new(dir: &Path) -> Result<Self, ProcessError> {
        Ok(Self { members: Vec::new(), group: Group::new()?, dir: dir.to_owned() })
    }

    /// Where the logs are.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn start(&mut self, role: Role, command: Command) -> Result<(), ProcessError> {
        let log = self.dir.join(format!("{}.log", role.program()));
        let process = Process::start(role.program(), command, &log, &self.group)?;
        self.members.push((role, process));
        Ok(())
    }

    /// The first that has ended by itself is an error.
    pub(super) fn ensure_running(&mut self) -> Result<(), ProcessError> {
        self.members.iter_mut().try_for_each(|(_, process)| process.ensure_running())
    }

    /// Asks these to end, at once, and waits until they have. Returns what was wrong with any of them.
    pub(super) async fn stop(&mut self, roles: &[Role]) -> Vec<ProcessError> {
        self.stop_within(roles, EXIT).await
    }

    /// Stops all that still run, in the order in which no one misses another, without a word about how they end.
    pub(super) async fn abandon(&mut self) {
        let order: [&[Role]; 4] =
            [&Role::SCHEDULERS, &[Role::ProducerApi], &[Role::Joiner], &[Role::Devstack]];
        for roles in order {
            self.stop_within(roles, HURRIED_EXIT).await;
        }
    }

    /// The error of one that does not get on.
    pub(super) fn stuck(&self, role: Role, what: &str, after: Duration) -> DemoError {
        let member = self.members.iter().find(|(member, _)| *member == role);
        let (_, process) = member.expect("it was started");
        process.stuck(what.to_owned(), after).into()
    }

    async fn stop_within(&mut self, roles: &[Role], limit: Duration) -> Vec<ProcessError> {
        let mut faults = Vec::new();
        let mut ending = Vec::new();
        for (_, mut process) in self.members.extract_if(.., |(role, _)| roles.contains(role)) {
            match process.terminate() {
                Ok(()) => ending.push(process),
                Err(fault) => faults.push(fault),
            }
        }
        for process in &mut ending {
            faults.extend(process.wait(limit).await.err());
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn those_who_end_badly_are_told_of_and_the_others_end_all_the_same() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut fleet = Fleet::new(dir.path()).expect("a fleet");
        fleet.start(Role::SchedulerCron, shell("exit 3")).expect("started");
        fleet.start(Role::SchedulerLoop, shell("exec sleep 1000")).expect("started");
        fleet.start(Role::Joiner, shell("exec sleep 1000")).expect("started");
        // One has ended before it was asked to, the other by the signal itself.
        let faults = fleet.stop(&Role::SCHEDULERS).await;
        let mut names: Vec<String> =
            faults.iter().filter_map(|f| Some(f.to_string().split(' ').next()?.into())).collect();
        names.sort();
        assert_eq!(names, ["scheduler-cron", "scheduler-loop"]);
        fleet.ensure_running().expect("the joiner was not asked");
        fleet.abandon().await;
        assert!(fleet.members.is_empty());
    }
}
