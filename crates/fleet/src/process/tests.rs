use std::io::{BufRead, BufReader, Write};

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Waits until the process has written a line that is `line`.
async fn logged(process: &Process, line: &str) {
    let end = Instant::now() + LIMIT;
    while !fs::read_to_string(process.log()).expect("a log").lines().any(|found| found == line) {
        assert!(Instant::now() < end, "no line {line}");
        sleep(LOOK).await;
    }
}

/// Whether a process that is not our child runs. One that has ended but was not waited for does not.
fn runs(id: &str) -> bool {
    let output = Command::new("ps").args(["-o", "stat=", "-p", id]).output().expect("ps");
    let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

async fn gone(id: &str) {
    let end = Instant::now() + LIMIT;
    while runs(id) {
        assert!(Instant::now() < end, "{id} still runs");
        sleep(LOOK).await;
    }
}

#[test]
fn the_end_of_a_log_is_its_last_lines() {
    assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
    assert_eq!(tail("a\n", 2), "a");
    assert_eq!(tail("", 2), "");
}

#[tokio::test]
async fn a_process_is_asked_to_end_and_ends_well_or_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let group = Group::new().expect("a group");
    for (status, well) in [(0, true), (3, false)] {
        let script = format!("trap 'exit {status}' TERM; echo ready; while :; do sleep 0.01; done");
        let log = dir.path().join(format!("{status}.log"));
        let mut process = Process::start("it", shell(&script), &log, &group).expect("started");
        logged(&process, "ready").await;
        process.ensure_running().expect("it runs");
        process.terminate().expect("asked");
        let outcome = process.wait(LIMIT).await;
        assert_eq!(outcome.is_ok(), well, "{outcome:?}");
        assert!(process.ensure_running().is_err());
    }
}

#[tokio::test]
async fn one_that_ends_by_itself_is_named_with_the_end_of_its_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let group = Group::new().expect("a group");
    let log = dir.path().join("log");
    let script = shell("echo first; echo cannot listen >&2; exit 7");
    let mut process = Process::start("joiner", script, &log, &group).expect("started");
    let end = Instant::now() + LIMIT;
    let error = loop {
        match process.ensure_running() {
            Err(error) => break error.to_string(),
            Ok(()) => assert!(Instant::now() < end, "it does not end"),
        }
        sleep(LOOK).await;
    };
    assert!(error.starts_with("joiner has ended by itself: exit status: 7"), "{error}");
    assert!(error.ends_with("first\ncannot listen"), "{error}");
}

#[tokio::test]
async fn one_that_goes_on_is_told_of_and_killed() {
    let dir = tempfile::tempdir().expect("a directory");
    let group = Group::new().expect("a group");
    let script = shell("trap '' TERM; echo ready; while :; do sleep 0.01; done");
    let log = dir.path().join("log");
    let mut process = Process::start("it", script, &log, &group).expect("started");
    logged(&process, "ready").await;
    process.terminate().expect("asked");
    let error = process.wait(Duration::from_millis(50)).await.expect_err("it goes on");
    assert!(matches!(error, ProcessError::Stuck { .. }), "{error}");
    let id = process.id().to_string();
    drop(process);
    gone(&id).await;
}

#[tokio::test]
async fn members_and_their_children_end_with_the_group() {
    let dir = tempfile::tempdir().expect("a directory");
    let group = Group::new().expect("a group");
    let script = shell("sleep 1000 & echo $!; echo ready; wait");
    let process = Process::start("it", script, &dir.path().join("log"), &group).expect("started");
    logged(&process, "ready").await;
    let log = fs::read_to_string(process.log()).expect("a log");
    let grandchild = log.lines().next().expect("its number").to_owned();
    drop(group);
    gone(&process.id().to_string()).await;
    gone(&grandchild).await;
}

/// Set for the process that `the_group_ends_even_if_its_maker_is_killed` kills: this test program, started again.
const MAKER: &str = "TRIPSTREAM_TEST_MAKER";

#[tokio::test]
async fn a_maker_that_will_be_killed() {
    if std::env::var_os(MAKER).is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let group = Group::new().expect("a group");
    let member = Process::start("it", shell("sleep 1000"), &dir.path().join("log"), &group);
    let member = member.expect("started");
    // The harness may have written something on the line before.
    writeln!(std::io::stderr(), "\nmember {}", member.id()).expect("told");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn the_group_ends_even_if_its_maker_is_killed() {
    let mut maker = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "--nocapture", "process::tests::a_maker_that_will_be_killed"])
        .env(MAKER, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let lines = BufReader::new(maker.stderr.take().expect("piped")).lines();
    let member = lines
        .map_while(Result::ok)
        .find_map(|line| Some(line.strip_prefix("member ")?.to_owned()))
        .expect("it tells of its member");
    assert!(runs(&member));
    maker.kill().expect("killed");
    maker.wait().expect("ended");
    gone(&member).await;
}
