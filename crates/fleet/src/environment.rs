//! The environment of a program: the user's, but for what would configure it.

use std::ffi::OsString;
use std::process::Command;

use service::config;

/// The names in which clients look for hosts that are not to be reached through a proxy.
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// The programs of a fleet reach each other on this machine.
const LOOPBACK: &str = "localhost,127.0.0.1,::1";

/// Takes from what the program will see of `environment` all that would configure it, and lets it reach loopback without
/// a proxy, whatever else goes through one.
pub(crate) fn isolate(
    command: &mut Command,
    environment: impl Iterator<Item = (OsString, OsString)>,
) {
    let mut excepted = Vec::new();
    for (name, value) in environment {
        let text = name.to_string_lossy();
        if config::is_setting(&text) {
            command.env_remove(&name);
        } else if NO_PROXY.contains(&&*text) && !value.is_empty() {
            excepted.push(value.to_string_lossy().into_owned());
        }
    }
    excepted.dedup();
    excepted.push(LOOPBACK.to_owned());
    command.envs(NO_PROXY.map(|name| (name, excepted.join(","))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_configures_a_program_but_what_it_is_told() {
        let environment = [
            ("PATH", "/bin"),
            ("HTTP_PROXY", "http://proxy:3128"),
            ("NO_PROXY", "internal"),
            ("TRIPSTREAM_PROFILE", "cloud"),
            ("tripstream__kafka__bootstrap_servers", "cloud:9092"),
            ("BOOTSTRAP_SERVERS", "cloud:9092"),
            ("schema_registry_url", "https://cloud"),
            ("KAFKA_SASL_PASSWORD", "hunter2"),
            ("TOPICS_TRIPS", "theirs"),
        ];
        let mut command = Command::new("true");
        isolate(&mut command, environment.iter().map(|(name, value)| (name.into(), value.into())));
        let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
        let changed: Vec<_> =
            command.get_envs().map(|(name, value)| (text(name), value.map(text))).collect();
        let loopback = Some("internal,localhost,127.0.0.1,::1".to_owned());
        let expected = [
            ("BOOTSTRAP_SERVERS", None),
            ("KAFKA_SASL_PASSWORD", None),
            ("NO_PROXY", loopback.clone()),
            ("TOPICS_TRIPS", None),
            ("TRIPSTREAM_PROFILE", None),
            ("no_proxy", loopback),
            ("schema_registry_url", None),
            ("tripstream__kafka__bootstrap_servers", None),
        ];
        assert_eq!(changed, expected.map(|(name, value)| (name.to_owned(), value)));
    }
}
