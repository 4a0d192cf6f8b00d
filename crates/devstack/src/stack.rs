//! [`DevStack`]: starts the broker and the registry, injects faults, crashes and restarts the broker.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, mpsc as blocking};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{Mutex, mpsc};
use tracing::{error, info};

use crate::advertised::HostPort;
use crate::broker::{Broker, BrokerSettings};
use crate::connection::CrashOrder;
use crate::faults::{Fault, Faults};
use crate::journal::Journal;
use crate::registry::{self, Catalog, Registry};
use crate::server::{Server, bind};
use crate::storage::{Sqlite, Storage, StorageError, Table};

/// How many threads serve clients.
const THREADS: usize = 2;
/// A broker that restarts tries for this long to listen on its port again.
const PORT_DEADLINE: Duration = Duration::from_secs(10);
const PORT_RETRY: Duration = Duration::from_millis(20);
/// Stopping may take this long.
const END_DEADLINE: Duration = Duration::from_secs(5);
const END_POLL: Duration = Duration::from_millis(1);
/// Apicurio Registry serves Confluent's API at this path, so one URL fits both.
const REGISTRY_PATH: &str = "/apis/ccompat/v7";

/// How a dev stack is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory of the SQLite file, created if absent. `None` keeps everything in memory.
    pub data_dir: Option<PathBuf>,
    /// The broker listens here. Port 0 takes a free port.
    pub kafka: SocketAddr,
    /// The registry listens here. Port 0 takes a free port.
    pub registry: SocketAddr,
    /// Creates a topic when a client asks for its metadata and allows its creation.
    pub auto_create_topics: bool,
    /// The number of partitions of a topic, if its creator gives none.
    pub default_partitions: i32,
    /// The address that the broker tells its clients, where they reach it through a forwarded port. `None` tells each
    /// client the address that it has reached.
    pub advertise: Option<HostPort>,
}

impl Default for Options {
    /// In memory, on free ports of 127.0.0.1, otherwise with the defaults of Apache Kafka.
    fn default() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            data_dir: None,
            kafka: any,
            registry: any,
            auto_create_topics: true,
            default_partitions: 1,
            advertise: None,
        }
    }
}

/// Why a dev stack can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The broker or the registry can't listen on its address.
    #[error("cannot listen on {addr} for the {what}: {source}")]
    Listen {
        /// The broker or the registry.
        what: &'static str,
        /// The address.
        addr: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file can't be used. The text says what to do.
    #[error("{0}")]
    Storage(String),
    /// The operating system refuses threads or sockets.
    #[error("starting: {0}")]
    System(std::io::Error),
}

impl From<StorageError> for StartError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error.to_string())
    }
}

/// A broker and a registry, which run on their own threads. Dropping this stops both and frees their ports and file.
///
/// Its methods block for some milliseconds; they can be called from anywhere.
///
/// ```
/// let stack = devstack::DevStack::start(devstack::Options::default())?;
/// println!("{} {}", stack.bootstrap_servers(), stack.registry_url());
/// # Ok::<(), devstack::StartError>(())
/// ```
pub struct DevStack {
    runtime: Option<Runtime>,
    shared: Arc<SharedStack>,
    registry_addr: SocketAddr,
    registry: actix_web::dev::ServerHandle,
}

/// The state that a crash of the broker leaves untouched.
struct SharedStack {
    settings: BrokerSettings,
    kafka: SocketAddr,
    storage: Arc<dyn Storage>,
    faults: Arc<Faults>,
    crash: mpsc::UnboundedSender<CrashOrder>,
    /// The journal of the registry, which keeps running when the broker crashes.
    registry_journal: Arc<Journal>,
    /// The number of times that the broker was started.
    lives: AtomicU64,
    /// The running broker. `None` while it is down.
    server: Mutex<Option<Server>>,
}

impl std::fmt::Debug for DevStack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevStack")
            .field("kafka", &self.shared.kafka)
            .field("registry", &self.registry_addr)
            .finish_non_exhaustive()
    }
}

impl DevStack {
    /// Starts the broker and the registry, and returns when both listen.
    ///
    /// # Errors
    ///
    /// [`StartError`]: an address or the file is in use, or the file was written by another version.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let Options {
            data_dir,
            kafka,
            registry,
            auto_create_topics,
            default_partitions,
            advertise,
        } = options;
        let listen = |what, addr| move |source| StartError::Listen { what, addr, source };
        let (kafka, listeners) = bind(kafka).map_err(listen("broker", kafka))?;
        let (registry_addr, registry_listeners) =
            bind(registry).map_err(listen("registry", registry))?;
        let storage: Arc<dyn Storage> = match &data_dir {
            Some(dir) => Arc::new(Sqlite::open(dir)?),
            None => Arc::new(Sqlite::in_memory()?),
        };
        let settings = BrokerSettings {
            auto_create_topics,
            default_partitions,
            advertise,
            log_dir: log_dir(data_dir.as_deref()),
        };
        let faults = Arc::new(Faults::default());
        let broker = Broker::open(settings.clone(), Arc::clone(&storage), Arc::clone(&faults), 0)?;
        let catalog = Catalog::load(storage.entries(Table::Registry)?)?;
        let registry_journal = Arc::new(Journal::start(Arc::clone(&storage)));
        let registry = Registry::new(catalog, Arc::clone(&registry_journal));

        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("devstack")
            .enable_all()
            .build()
            .map_err(StartError::System)?;
        let (crash, orders) = mpsc::unbounded_channel();
        let guard = runtime.enter();
        let listeners = tokio_listeners(listeners).map_err(StartError::System)?;
        let server = Server::start(broker, listeners, &crash);
        let registry =
            registry::server(registry_listeners, registry).map_err(StartError::System)?;
        let registry_handle = registry.handle();
        runtime.spawn(registry);
        drop(guard);
        let shared = Arc::new(SharedStack {
            settings,
            kafka,
            storage,
            faults,
            crash,
            registry_journal,
            lives: AtomicU64::new(1),
            server: Mutex::new(Some(server)),
        });
        runtime.spawn(obey(Arc::clone(&shared), orders));
        Ok(Self { runtime: Some(runtime), shared, registry_addr, registry: registry_handle })
    }

    /// A dev stack in memory that all tests of the process share. The first call starts it.
    ///
    /// # Panics
    ///
    /// If it can't start.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<DevStack> = OnceLock::new();
        SHARED.get_or_init(|| {
            Self::start(Options::default()).unwrap_or_else(|error| panic!("the dev stack: {error}"))
        })
    }

    /// The path of the SQLite file in a data directory.
    pub fn file_in(data_dir: &Path) -> PathBuf {
        data_dir.join(crate::storage::FILE)
    }

    /// `host:port` of the broker.
    pub fn bootstrap_servers(&self) -> String {
        self.shared.kafka.to_string()
    }

    /// The base URL of the registry's Confluent API.
    pub fn registry_url(&self) -> String {
        format!("http://{}{REGISTRY_PATH}", self.registry_addr)
    }

    /// Injects a fault.
    pub fn inject(&self, fault: Fault) {
        self.shared.faults.inject(fault);
    }

    /// Removes the faults that have not occurred yet, and returns their number. Held requests continue.
    pub fn clear_faults(&self) -> usize {
        let left = self.shared.faults.len();
        self.shared.faults.clear();
        left
    }

    /// Crashes the broker like SIGKILL: changes that are not durable are lost, connections break, and its port refuses
    /// new ones. The registry keeps running. Does nothing if the broker is down.
    pub fn crash(&self) {
        let shared = Arc::clone(&self.shared);
        self.wait_for(async move { shared.crash().await });
    }

    /// Starts the broker again on its port, with all durable changes. Does nothing if it runs.
    ///
    /// # Panics
    ///
    /// If it can't start because another program has taken its port.
    pub fn restart(&self) {
        let shared = Arc::clone(&self.shared);
        let outcome = self.wait_for(async move { shared.restart().await });
        outcome.unwrap_or_else(|error| panic!("restarting the broker: {error}"));
    }

    /// Whether the broker runs.
    pub fn is_running(&self) -> bool {
        let shared = Arc::clone(&self.shared);
        self.wait_for(async move { shared.server.lock().await.is_some() })
    }

    /// Lets the sessions of all members of a consumer group expire, as if none of them had sent a heartbeat for too
    /// long. Returns how many there were.
    pub fn expire_sessions(&self, group: &str) -> usize {
        let group = group.to_owned();
        self.with_broker(move |broker| {
            broker.update(|state, now, effects| {
                state.groups.expire_sessions(&group, None, now, effects)
            })
        })
    }

    /// Aborts the open transaction of a transactional id and fences its producer, as if its time-out had passed.
    /// Returns whether one was open.
    pub fn time_out_transaction(&self, transactional_id: &str) -> bool {
        let id = transactional_id.to_owned();
        self.with_broker(move |broker| {
            broker.update(|state, now, effects| {
                let changes = &mut effects.changes;
                let ended = state.transactions.time_out(&id, changes);
                ended.map(|ended| state.conclude(ended, now, changes)).is_some()
            })
        })
    }

    /// Applies retention and compaction to all logs now, instead of every 15 seconds.
    pub fn clean(&self) {
        let shared = Arc::clone(&self.shared);
        self.wait_for(async move {
            let server = shared.server.lock().await;
            if let Some(server) = &*server {
                server.sweeper.lock().await.sweep(&server.broker).await;
            }
        });
    }

    /// Makes all changes durable and stops, as dropping does. The ports and the file are free afterwards.
    pub fn stop(self) {
        drop(self);
    }

    /// Waits until the dev stack can acknowledge nothing more, for example because the storage can't be written, and
    /// returns the reason.
    pub async fn failed(&self) -> String {
        let broker = {
            let server = self.shared.server.lock().await;
            server.as_ref().map(|server| Arc::clone(&server.broker))
        };
        let broker_failed = async {
            match broker {
                Some(broker) => broker.failed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            reason = broker_failed => reason,
            error = self.shared.registry_journal.failed() => error.to_string(),
        }
    }

    /// Runs `work` with the broker and returns its result, or the default (0, false) if the broker is down.
    fn with_broker<T: Default + Send + 'static>(
        &self,
        work: impl FnOnce(&Broker) -> T + Send + 'static,
    ) -> T {
        let shared = Arc::clone(&self.shared);
        self.wait_for(async move {
            let server = shared.server.lock().await;
            server.as_ref().map(|server| work(&server.broker)).unwrap_or_default()
        })
    }

    /// Runs `work` on our own runtime and blocks until it ends. The caller may be on a thread of another runtime.
    fn wait_for<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let runtime = self.runtime.as_ref().expect("it is taken on drop only");
        let (done, outcome) = blocking::channel();
        runtime.spawn(async move {
            let _ = done.send(work.await);
        });
        outcome.recv().expect("none of this panics")
    }
}

impl Drop for DevStack {
    fn drop(&mut self) {
        let runtime = self.runtime.take().expect("it is taken here only");
        let (shared, registry) = (Arc::clone(&self.shared), self.registry.clone());
        // On a new thread, because the caller's may belong to a runtime, where blocking panics.
        let ending = std::thread::spawn(move || {
            let registry_journal = Arc::clone(&shared.registry_journal);
            runtime.block_on(async move {
                if let Some(server) = shared.server.lock().await.take() {
                    server.stop().await;
                }
                registry.stop(false).await;
            });
            registry_journal.stop();
            runtime.shutdown_timeout(END_DEADLINE);
        });
        // A panic was already reported.
        let _ = ending.join();
        // The registry's threads may still hold the storage, and the server doesn't tell when they drop it.
        let end = std::time::Instant::now() + END_DEADLINE;
        while Arc::strong_count(&self.shared.storage) > 1 && std::time::Instant::now() < end {
            std::thread::sleep(END_POLL);
        }
    }
}

impl SharedStack {
    async fn crash(&self) {
        if let Some(server) = self.server.lock().await.take() {
            server.crash().await;
        }
    }

    /// Crashes the broker if it is still the one that was started as number `life`. Returns whether it was.
    async fn crash_life(&self, life: u64) -> bool {
        let mut server = self.server.lock().await;
        match server.take_if(|server| server.broker.life == life) {
            Some(server) => {
                server.crash().await;
                true
            }
            None => false,
        }
    }

    async fn restart(&self) -> Result<(), StartError> {
        let mut server = self.server.lock().await;
        if server.is_some() {
            return Ok(());
        }
        let (_, listeners) = self.port_again().await?;
        let listeners = tokio_listeners(listeners).map_err(StartError::System)?;
        let (storage, faults) = (Arc::clone(&self.storage), Arc::clone(&self.faults));
        let life = self.lives.fetch_add(1, Ordering::Relaxed);
        let broker = Broker::open(self.settings.clone(), storage, faults, life)?;
        *server = Some(Server::start(broker, listeners, &self.crash));
        Ok(())
    }

    /// Listens on the port again. For a moment, another program may use it for an outgoing connection.
    async fn port_again(&self) -> Result<(SocketAddr, Vec<std::net::TcpListener>), StartError> {
        let end = tokio::time::Instant::now() + PORT_DEADLINE;
        loop {
            match bind(self.kafka) {
                Ok(bound) => return Ok(bound),
                Err(_) if tokio::time::Instant::now() < end => {
                    tokio::time::sleep(PORT_RETRY).await;
                }
                Err(source) => {
                    return Err(StartError::Listen { what: "broker", addr: self.kafka, source });
                }
            }
        }
    }
}

/// Crashes and restarts the broker when a fault orders it.
async fn obey(shared: Arc<SharedStack>, mut orders: mpsc::UnboundedReceiver<CrashOrder>) {
    while let Some(CrashOrder { life, back_after }) = orders.recv().await {
        if !shared.crash_life(life).await {
            continue;
        }
        info!(?back_after, "the broker crashed, as a fault asks for");
        tokio::time::sleep(back_after).await;
        // The test may have restarted it already; then this does nothing.
        if shared.lives.load(Ordering::Relaxed) != life + 1 {
            continue;
        }
        if let Err(error) = shared.restart().await {
            error!(%error, "the broker does not come back");
        }
    }
}

/// The name of a data directory, as Apache Kafka tells those of its logs.
fn log_dir(data_dir: Option<&Path>) -> String {
    let Some(dir) = data_dir else { return "in memory".to_owned() };
    std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()).display().to_string()
}

fn tokio_listeners(
    listeners: Vec<std::net::TcpListener>,
) -> std::io::Result<Vec<tokio::net::TcpListener>> {
    listeners.into_iter().map(tokio::net::TcpListener::from_std).collect()
}
