//! `lab compare` with the real programs, a dev stack included. They are those that lie beside this one:
//! `cargo test --workspace` builds them all.
#![expect(clippy::unwrap_used, reason = "everything in this file is test code")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Compares, with temporary files in `dir`.
fn compare(dir: &Path, arguments: &[&str]) -> Output {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["--log-format", "text", "compare", "--quick"])
        .args(arguments)
        .current_dir(dir)
        .env("TRIPSTREAM_CONFIG_DIR", config)
        // Whatever .env there is: this test is to be the same everywhere.
        .env("TRIPSTREAM_ENV_FILE", "/dev/null")
        // A user's own settings, each of which would falsify the comparison or end it.
        .env("TRIPSTREAM__PRODUCER__ATOMIC", "true")
        .env("TRIPSTREAM__CLIENT__UNTIL_JOINED", "1s")
        .env("TRIPSTREAM__CLIENT__TIMEOUT", "1ms")
        .env("TRIPSTREAM__SCHEDULER_CRON__COUNT", "1")
        .env("TRIPSTREAM__SCHEDULER_CRON__RATE", "1")
        .env("tripstream__scheduler_loop__ramp", "1h")
        .env("TMPDIR", dir)
        .output()
        .unwrap()
}

#[test]
fn every_run_s_counts_add_up_and_the_report_shows_them_all() {
    let dir = tempfile::tempdir().unwrap();
    let output = compare(dir.path(), &["--report", "out/report.md"]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    assert!(stdout.contains("every run's counts add up"), "{stdout}");

    let out = dir.path().join("out");
    let markdown = fs::read_to_string(out.join("report.md")).unwrap();
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    let links: Vec<&str> =
        markdown.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() > 20, "{links:?}");
    for link in &links {
        let svg = fs::read_to_string(out.join(link)).unwrap();
        assert!(page.contains(&svg), "{link} is not in the page");
    }
    assert_eq!(fs::read_dir(out.join("report")).unwrap().count(), links.len(), "none is missing");
    let left = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 1, "nothing but the report is left");
}

#[test]
fn a_report_that_can_t_be_written_is_found_before_anything_is_measured() {
    let dir = tempfile::tempdir().unwrap();
    for (path, words) in [
        ("report.txt", "the name must end in .md"),
        ("/dev/null/report.md", "writing /dev/null/report: "),
    ] {
        let output = compare(dir.path(), &["--report", path]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
    }
}
