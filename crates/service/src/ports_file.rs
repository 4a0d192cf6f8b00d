//! A file that tells where a program listens, for whoever has started it on a free port.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// The file. It is removed when this is dropped.
#[derive(Debug)]
pub struct PortsFile(PathBuf);

impl PortsFile {
    /// Writes `ports` as one line of JSON: whole or not at all, as somebody waits for it.
    ///
    /// # Errors
    ///
    /// The operating system's, with the path in its text.
    pub fn write(path: &Path, ports: &impl Serialize) -> io::Result<Self> {
        let unfinished = path.with_extension("unfinished");
        let text = serde_json::to_string(ports)?;
        std::fs::write(&unfinished, format!("{text}\n"))
            .and_then(|()| std::fs::rename(&unfinished, path))
            .map_err(|error| {
                io::Error::new(error.kind(), format!("writing {}: {error}", path.display()))
            })?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for PortsFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(%error, "removing {}", self.0.display());
        }
    }
}
