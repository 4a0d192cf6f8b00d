//! The files under `config/` and what the binaries make of them.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::Path;

use joiner::JoinerConfig;
use producer_api::ProducerApiConfig;
use scheduler_cron::CronSettings;
use scheduler_loop::LoopSettings;
use service::config::{load, render};
use service::{CommonArgs, Settings};

/// What a service makes of `config/default.toml`, and what it does without.
fn with_and_without_file<S: Settings>() -> [String; 2] {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    // An `.env` of the developer's own must not count.
    let empty = tempfile::NamedTempFile::new().unwrap();
    let args = CommonArgs {
        config_dir: Some(dir),
        env_file: Some(empty.path().to_owned()),
        ..CommonArgs::default()
    };
    let loaded = load::<S>(&args, &[]).unwrap();
    assert_eq!(loaded.files.len(), 2);
    [render(&loaded.settings).unwrap(), render(&S::default()).unwrap()]
}

#[test]
fn the_default_file_says_what_the_built_in_defaults_are() {
    let cases = [
        with_and_without_file::<ProducerApiConfig>(),
        with_and_without_file::<JoinerConfig>(),
        with_and_without_file::<LoopSettings>(),
        with_and_without_file::<CronSettings>(),
    ];
    for [file, built_in] in cases {
        assert_eq!(file, built_in);
    }
}

/// Every key that a service has and that is not optional stands in the file, so that users can find it there.
#[test]
fn the_default_file_shows_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/default.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let all = [
        render(&ProducerApiConfig::default()).unwrap(),
        render(&JoinerConfig::default()).unwrap(),
        render(&LoopSettings::default()).unwrap(),
        render(&CronSettings::default()).unwrap(),
    ];
    for line in all.iter().flat_map(|rendered| rendered.lines()) {
        if let Some((key, _)) = line.split_once(" = ") {
            let shown = text.match_indices(&format!("{key} = ")).any(|(at, _)| {
                let before = text[..at].chars().next_back();
                before.is_none_or(|before| !before.is_alphanumeric() && before != '_')
            });
            assert!(shown, "{key} is not in config/default.toml");
        }
    }
}
