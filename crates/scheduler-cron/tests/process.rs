//! The cron scheduler as a process: what it says of bad input.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::Write;
use std::process::Command;

fn refused(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_scheduler-cron"))
        .args(["--set", "scheduler_cron.listen=127.0.0.1:0"])
        .args(args)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    assert_eq!(stderr.trim_end().lines().count(), 1, "{args:?}: {stderr}");
    assert!(stderr.starts_with("scheduler-cron: "), "{stderr}");
    stderr
}

#[test]
fn bad_input_is_refused_in_one_line() {
    let cases: [(&[&str], &str); 8] = [
        (&["--cron", "61 * * * * *"], "\"61 * * * * *\" is no cron expression with seconds"),
        (&["--cron", "0 0 0 30 2 *"], "matches no date to come"),
        (&["--every", "0s"], "\"every 0s\" is no interval of whole seconds"),
        (&["--every", "-3s"], "\"every -3s\" is no interval of whole seconds"),
        (&["--every", "500ms"], "scheduler-loop fires more often"),
        (&["--cron", "* * * * * *", "--time-zone", "Mars/Olympus"], "is no time zone of the IANA"),
        (&["--rate", "0"], "\"scheduler_cron.rate\": must be a number of trips a second"),
        (&["--overrun", "later"], "\"later\" is none of skip, queue, overlap"),
    ];
    for (args, want) in cases {
        let stderr = refused(args);
        assert!(stderr.contains(want), "{args:?}: {stderr}");
    }
}

#[test]
fn jobs_come_from_the_configuration_and_a_wrong_key_in_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("default.toml");
    for (text, want) in [
        ("tripz = 3", "tripz"),
        ("time_zone = \"Mars/Olympus\"", "\"scheduler_cron.jobs[a].time_zone\": \"Mars/Olympus\""),
        ("trips = 0", "\"scheduler_cron.jobs[a].trips\": must be at least 1"),
    ] {
        let mut file = std::fs::File::create(&path).unwrap();
        writeln!(file, "[[scheduler_cron.jobs]]\nname = \"a\"\nschedule = \"every 1s\"\n{text}")
            .unwrap();
        let stderr = refused(&["--config-dir", dir.path().to_str().unwrap()]);
        assert!(stderr.contains(want), "{text}: {stderr}");
    }
}
