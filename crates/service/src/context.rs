//! What a service is handed besides its configuration.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::{Health, Metrics, PortsFile, Shutdown};

/// The things through which a service meets the process it runs in. Clones share them.
#[derive(Debug, Clone)]
pub struct Context {
    /// When to stop.
    pub shutdown: Shutdown,
    /// Whether the service can do its work.
    pub health: Health,
    /// What it counts.
    pub metrics: Metrics,
    listens: Arc<Listens>,
}

/// Where it is told that the service listens.
#[derive(Debug, Default)]
struct Listens {
    ports_file: Option<PathBuf>,
    written: Mutex<Option<PortsFile>>,
}

#[derive(Serialize)]
struct Ports {
    listen: SocketAddr,
}

impl Context {
    /// A context of its own, as [`crate::main`] makes one a process and a test makes one a service.
    pub fn new(service: &str) -> Self {
        Self {
            shutdown: Shutdown::new(),
            health: Health::new(),
            metrics: Metrics::new(service),
            listens: Arc::default(),
        }
    }

    /// The same, but [`Context::listens_on`] writes into this file.
    pub(crate) fn with_ports_file(self, ports_file: Option<PathBuf>) -> Self {
        Self { listens: Arc::new(Listens { ports_file, ..Listens::default() }), ..self }
    }

    /// The service listens on `listen`: writes that into the file that `--ports-file` names, if it does. The file is
    /// removed with the last clone of this context.
    ///
    /// # Errors
    ///
    /// If the file can't be written.
    pub fn listens_on(&self, listen: SocketAddr) -> io::Result<()> {
        if let Some(path) = &self.listens.ports_file {
            let file = PortsFile::write(path, &Ports { listen })?;
            *self.listens.written.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        }
        Ok(())
    }
}
