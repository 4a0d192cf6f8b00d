//! Where the files of the configuration are.

use std::path::{Path, PathBuf};

use super::ConfigError;
use crate::CommonArgs;

/// The files to read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// `default.toml` and the profile's, in this order.
    pub(super) toml: Vec<PathBuf>,
    /// The `.env`.
    pub(super) env: Option<PathBuf>,
}

impl Files {
    pub(super) fn find(args: &CommonArgs) -> Result<Self, ConfigError> {
        let mut files = Self { toml: Vec::new(), env: args.env_file.clone() };
        let dir = match &args.config_dir {
            Some(dir) if dir.join("default.toml").is_file() => Some(dir.clone()),
            Some(dir) => return Err(ConfigError::NoDefaultFile(dir.clone())),
            None => std::env::current_dir().ok().and_then(|start| nearest_config_dir(&start)),
        };
        if let Some(dir) = &dir {
            files.toml.push(dir.join("default.toml"));
            if files.env.is_none() {
                // An absolute path first: the parent of a relative `config` would be the empty path.
                let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
                files.env =
                    dir.parent().map(|parent| parent.join(".env")).filter(|path| path.is_file());
            }
        }
        if let Some(profile) = &args.profile {
            let dir = dir.ok_or_else(|| ConfigError::ProfileWithoutDirectory(profile.clone()))?;
            let path = dir.join(format!("{profile}.toml"));
            if !path.is_file() {
                return Err(ConfigError::NoProfile {
                    profile: profile.clone(),
                    available: profiles(&dir),
                    path,
                });
            }
            files.toml.push(path);
        }
        Ok(files)
    }
}

/// `config` at or above `start`, found as cargo finds a manifest.
fn nearest_config_dir(start: &Path) -> Option<PathBuf> {
    start.ancestors().map(|dir| dir.join("config")).find(|dir| dir.join("default.toml").is_file())
}

fn profiles(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).into_iter().flatten().flatten().filter_map(|entry| {
        let path = entry.path();
        let is_profile = path.extension()? == "toml" && path.file_stem()? != "default";
        is_profile.then(|| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()))?
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// The text of a configuration file.
pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}
