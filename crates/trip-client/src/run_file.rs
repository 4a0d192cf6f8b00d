//! The files that a run writes: its report and its log of ticks.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A report, or another record of a run, that can't be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}", .path.display())]
pub struct RunFileError {
    path: PathBuf,
    source: io::Error,
}

impl RunFileError {
    pub(crate) fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.to_owned(), source }
    }
}

/// Opens the file at `path` as `options` say, in a directory that is created if it isn't there.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<File, RunFileError> {
    let open = || {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        options.open(path)
    };
    open().map_err(|source| RunFileError::new(path, source))
}
