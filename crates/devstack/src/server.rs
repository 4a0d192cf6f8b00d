//! Runs a broker from its start until it is stopped or crashed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tracing::warn;

use crate::broker::Broker;
use crate::connection::{self, CrashOrder};
use crate::peer::Peer;
use crate::sweeper::Sweeper;
use crate::wire::frame;

/// The largest number of open connections. Further ones are closed, as Kafka does beyond `max.connections.per.ip`.
const MOST_CONNECTIONS: usize = 2_000;
/// After accepting has failed, the next attempt is made this much later.
const NO_ROOM: Duration = Duration::from_millis(100);

/// A broker that accepts connections until this is dropped.
pub(crate) struct Server {
    pub(crate) broker: Arc<Broker>,
    pub(crate) sweeper: Arc<Mutex<Sweeper>>,
    tasks: JoinSet<()>,
}

impl Server {
    /// Serves on `listeners`. Crashes that faults order are sent to `crash`.
    pub(crate) fn start(
        broker: Broker,
        listeners: Vec<TcpListener>,
        crash: &mpsc::UnboundedSender<CrashOrder>,
    ) -> Self {
        let broker = Arc::new(broker);
        let room = Arc::new(frame::Room::default());
        let mut tasks = JoinSet::new();
        for listener in listeners {
            tasks.spawn(accept(Arc::clone(&broker), listener, Arc::clone(&room), crash.clone()));
        }
        let timers = Arc::clone(&broker);
        tasks.spawn(async move { timers.keep_deadlines().await });
        let sweeper = Arc::new(Mutex::new(Sweeper::default()));
        tasks.spawn(sweep(Arc::clone(&broker), Arc::clone(&sweeper)));
        Self { broker, sweeper, tasks }
    }

    /// Ends like SIGKILL: changes that are not durable are lost, and waiting requests get no answer.
    pub(crate) async fn crash(mut self) {
        self.broker.die();
        let journal = Arc::clone(&self.broker.journal);
        // Waits for a commit in progress.
        let _ = tokio::task::spawn_blocking(move || journal.crash()).await;
        self.tasks.shutdown().await;
    }

    /// Makes all submitted changes durable, and ends.
    pub(crate) async fn stop(mut self) {
        let journal = Arc::clone(&self.broker.journal);
        let _ = tokio::task::spawn_blocking(move || journal.stop()).await;
        self.tasks.shutdown().await;
    }
}

/// Sweeps the logs at each interval.
async fn sweep(broker: Arc<Broker>, sweeper: Arc<Mutex<Sweeper>>) {
    loop {
        tokio::time::sleep(Sweeper::INTERVAL).await;
        sweeper.lock().await.sweep(&broker).await;
    }
}

/// Accepts connections. They are closed when this task ends.
async fn accept(
    broker: Arc<Broker>,
    listener: TcpListener,
    room: Arc<frame::Room>,
    crash: mpsc::UnboundedSender<CrashOrder>,
) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, addr) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "can't accept a connection");
                tokio::time::sleep(NO_ROOM).await;
                continue;
            }
        };
        // Remove connections that have ended.
        while connections.try_join_next().is_some() {}
        if connections.len() >= MOST_CONNECTIONS {
            warn!(client = %addr, "closing a connection: there are {MOST_CONNECTIONS} others");
            continue;
        }
        // The client may have closed it already.
        let Ok(reached_at) = stream.local_addr() else { continue };
        let peer = Peer { addr, reached_at };
        let (broker, room, crash) = (Arc::clone(&broker), Arc::clone(&room), crash.clone());
        connections.spawn(connection::serve(broker, stream, peer, room, crash));
    }
}

/// Listens on `addr`. For 127.0.0.1 also listens on the same port of ::1 if possible, because `localhost` may mean
/// either. Port 0 takes a free port.
pub(crate) fn bind(addr: SocketAddr) -> std::io::Result<(SocketAddr, Vec<std::net::TcpListener>)> {
    let first = std::net::TcpListener::bind(addr)?;
    let addr = first.local_addr()?;
    let mut listeners = vec![first];
    if addr.ip() == std::net::Ipv4Addr::LOCALHOST {
        let twin = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, addr.port()));
        listeners.extend(std::net::TcpListener::bind(twin));
    }
    for listener in &listeners {
        listener.set_nonblocking(true)?;
    }
    Ok((addr, listeners))
}
