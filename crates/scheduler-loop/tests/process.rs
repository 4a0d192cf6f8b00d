//! The loop scheduler as a process: signals, exit status, and what it says of bad input.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "../../trip-client/tests/fake_api/mod.rs"]
mod fake_api;

use std::process::{Child, Command, Output, Stdio};

use fake_api::{FakeApi, OK, Reply, refused_url, until, within};
use rustix::process::{Pid, Signal, kill_process};
use trip_client::RunReport;

/// A command for `args`, with a free port for its metrics, that says its log as text.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scheduler-loop"));
    command.args(["--set", "scheduler_loop.listen=127.0.0.1:0", "--log-format", "text"]);
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn ended(child: Child) -> Output {
    let output = tokio::task::spawn_blocking(|| child.wait_with_output());
    within("the process", output).await.unwrap().unwrap()
}

fn terminate(child: &Child) {
    kill_process(Pid::from_child(child), Signal::TERM).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sigterm_lets_requests_in_flight_finish_and_ends_well() {
    let api = FakeApi::start(|_| Reply::Held);
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report.json");
    let child =
        command(&["--url", &api.url, "--period", "10ms", "--report"]).arg(&report).spawn().unwrap();
    until("the limit is reached", || api.in_flight() == 10).await;
    terminate(&child);
    api.release();
    let output = ended(child).await;
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report: RunReport = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    report.counts.balance().unwrap();
    // The answers may come before the signal, and let more requests start.
    let started = report.counts.started;
    assert!(started >= 10, "{stdout}");
    let line = format!("{started} started = {started} succeeded + 0 failed + 0 cut off");
    assert!(stdout.contains(&line), "{stdout}");
    assert_eq!((report.counts.succeeded, report.counts.cut_off), (started, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_outlast_a_sigterm_are_cut_off_and_the_status_tells() {
    let api = FakeApi::start(|_| Reply::Held);
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report.json");
    let child = command(&["--url", &api.url, "--period", "10ms", "--set", "shutdown.timeout=1s"])
        .args(["--max-in-flight", "4", "--report"])
        .arg(&report)
        .spawn()
        .unwrap();
    until("the limit is reached", || api.in_flight() == 4).await;
    terminate(&child);
    let output = ended(child).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let last = last_line(&output);
    assert!(last.contains("4 cut off at the end of the shutdown timeout"), "{last}");
    let report: RunReport = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    report.counts.balance().unwrap();
    assert_eq!((report.counts.cut_off, report.counts.trips.uncertain), (4, 12));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_does_wrong_is_told_in_the_last_line() {
    let not_json = FakeApi::start(|_| Reply::Status(200, None, "<html>hello</html>"));
    let too_few = FakeApi::start(|_| Reply::Trips { off_by: -1 });
    let nobody = refused_url();
    let cases = [
        (&not_json.url, "(not_json 2); the last one: the answer is not JSON: <html>hello</html>"),
        (&too_few.url, "(trip_count 2); the last one: asked for 3 trips, the answer holds 2"),
        (&nobody, "does the producer API run at http://"),
    ];
    for (url, want) in cases {
        let args = ["--url", url, "--count", "2", "--set", "client.retries=0"];
        let output = ended(command(&args).spawn().unwrap()).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let last = last_line(&output);
        assert!(last.contains("scheduler-loop failed: 2 of 2 requests failed"), "{last}");
        assert!(last.contains(want), "{last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_on_this_machine_is_asked_without_the_proxy() {
    let api = FakeApi::start(|_| OK);
    let proxy = refused_url();
    let args = ["--url", &api.url, "--count", "2", "--set", "client.retries=0"];
    let mut run = command(&args);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        run.env(name, &proxy);
    }
    // Addresses that they name would go without the proxy in any case.
    run.env_remove("NO_PROXY").env_remove("no_proxy");
    let output = ended(run.spawn().unwrap()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(api.requests(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_in_one_line_before_anything_is_sent() {
    let api = FakeApi::start(|_| OK);
    let cases: [(&[&str], &str); 11] = [
        (&["--period", "0s"], "\"scheduler_loop.period\": must be more than zero, such as 100ms"),
        (&["--period", "-1s"], "\"-1s\""),
        (&["--period", "soon"], "\"soon\""),
        (&["--trips", "0"], "\"scheduler_loop.trips\": must be at least 1"),
        (&["--rate", "-3"], "\"scheduler_loop.rate\": must be a number of trips a second"),
        (&["--ramp", "0s"], "\"scheduler_loop.ramp\": must be more than zero, such as 10s"),
        (&["--count", "0"], "\"scheduler_loop.count\": must be at least 1"),
        (&["--overrun", "later"], "\"later\" is none of skip, queue, overlap"),
        (&["--until-joined"], "the run needs an end: set scheduler_loop.count or"),
        (&["--url", "localhost:8001"], "\"localhost:8001\" is not an address such as http://"),
        (&["--set", "scheduler_loop.perod=1s"], "did you mean \"scheduler_loop.period\"?"),
    ];
    for (args, want) in cases {
        let url = format!("client.url={}", api.url);
        let output = ended(command(args).args(["--set", &url]).spawn().unwrap()).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert_eq!(stderr.trim_end().lines().count(), 1, "{args:?}: {stderr}");
        assert!(stderr.starts_with("scheduler-loop: ") && stderr.contains(want), "{stderr}");
    }
    assert_eq!(api.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_to_wait_for_that_is_not_there_ends_the_run_before_it_begins() {
    let api = FakeApi::start(|_| OK);
    let joiner = refused_url();
    let args = ["--url", &api.url, "--count", "1", "--until-joined", "--joiner-url", &joiner];
    let output = ended(command(&args).spawn().unwrap()).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let last = last_line(&output);
    assert!(last.contains("does the joiner run there (client.joiner_url)?"), "{last}");
    assert_eq!(api.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_starts_is_waited_for_which_the_log_says_once() {
    let api = FakeApi::start(|_| OK);
    api.be_ready_by(|asked| if asked < 2 { 503 } else { 200 });
    let args = ["--url", &api.url, "--count", "5", "--set", "client.retries=0"];
    let output = ended(command(&args).spawn().unwrap()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stderr.matches("the API is not ready yet (503)").count(), 1, "{stderr}");
    assert_eq!((api.readiness_asked(), api.requests()), (3, 5), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sigterm_ends_the_wait_for_the_api_and_a_joiner_is_not_asked_for_then() {
    let api = FakeApi::start(|_| OK);
    api.be_ready_by(|_| 503);
    let joiner = refused_url();
    let args = ["--url", &api.url, "--count", "5", "--until-joined", "--joiner-url", &joiner];
    let child = command(&args).spawn().unwrap();
    until("it waits", || api.readiness_asked() >= 1).await;
    terminate(&child);
    let output = ended(child).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(api.requests(), 0);
}

fn last_line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned()
}
