//! One client's connection. Requests are handled one after the other and answered in that order, as in Kafka.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tracing::{debug, error, warn};

use crate::api;
use crate::broker::Broker;
use crate::faults::Action;
use crate::journal::JournalPosition;
use crate::peer::Peer;
use crate::wire::{Request, WireError, frame};

/// While this many answers wait for the journal or for a slow client, no more requests are read.
const ANSWERS_WAITING: usize = 32;
/// The same limit in bytes. A single answer may be larger.
const ANSWER_BYTES_WAITING: usize = 4 << 20;
const READ_BUFFER: usize = 16 << 10;
/// A client that sends nothing, or does not read its answers, for this long is disconnected
/// (`connections.max.idle.ms`).
const IDLE: Duration = Duration::from_secs(10 * 60);
/// A request must arrive completely within this time. Clients give up a request after the same time
/// (`request.timeout.ms`).
const FRAME: Duration = Duration::from_secs(30);

/// A crash that a fault orders.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CrashOrder {
    /// The [`Broker::life`] of the broker to crash. A later one is left alone.
    pub(crate) life: u64,
    pub(crate) back_after: Duration,
}

/// An answer, the journal's position that must be durable before it is sent, and its share of
/// [`ANSWER_BYTES_WAITING`].
type Pending = (JournalPosition, Bytes, OwnedSemaphorePermit);

/// Serves one connection until either side closes it. Large requests wait for `room`. Crashes that faults order are
/// sent to `crash`.
pub(crate) async fn serve(
    broker: Arc<Broker>,
    stream: TcpStream,
    peer: Peer,
    room: Arc<frame::Room>,
    crash: mpsc::UnboundedSender<CrashOrder>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "a connection without TCP_NODELAY");
    }
    let (from, to) = stream.into_split();
    let (answers, pending) = mpsc::channel(ANSWERS_WAITING);
    let writing = tokio::spawn(write(Arc::clone(&broker), to, pending));
    let from = BufReader::with_capacity(READ_BUFFER, from);
    let reading = read(&broker, from, peer, &room, &answers, &crash);
    if let Err(error) = reading.await {
        // Bad input is a warning. An answer that we can't encode is our own error.
        match error {
            ConnectionEnd::Wire(error @ WireError::Unwritable { .. }) => {
                error!(%error, client = %peer.addr, "closing");
            }
            ConnectionEnd::Wire(error) => {
                warn!(%error, client = %peer.addr, "closing a connection");
            }
            ConnectionEnd::Slow => warn!(%error, client = %peer.addr, "closing a connection"),
            ConnectionEnd::Idle => debug!(client = %peer.addr, "closing a connection that is idle"),
            ConnectionEnd::Io(error) => debug!(%error, client = %peer.addr, "a connection ended"),
            ConnectionEnd::Fault => {
                // Answers to earlier requests are lost too, as on a real network.
                writing.abort();
                return;
            }
        }
    }
    // Answers to earlier requests are still sent.
    drop(answers);
    let _ = writing.await;
}

/// Why we close a connection.
#[derive(Debug, thiserror::Error)]
enum ConnectionEnd {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("a request has not come to its end within {FRAME:?}")]
    Slow,
    #[error("the client has said nothing for {IDLE:?}")]
    Idle,
    #[error("a fault that was asked for")]
    Fault,
}

async fn read(
    broker: &Arc<Broker>,
    mut from: BufReader<OwnedReadHalf>,
    peer: Peer,
    room: &Arc<frame::Room>,
    answers: &mpsc::Sender<Pending>,
    crash: &mpsc::UnboundedSender<CrashOrder>,
) -> Result<(), ConnectionEnd> {
    let answer_bytes = Arc::new(Semaphore::new(ANSWER_BYTES_WAITING));
    loop {
        if timeout(IDLE, from.fill_buf()).await.map_err(|_| ConnectionEnd::Idle)??.is_empty() {
            return Ok(());
        }
        let frame = timeout(FRAME, frame::read(&mut from, room))
            .await
            .map_err(|_| ConnectionEnd::Slow)??;
        let Some((frame, _room)) = frame else { return Ok(()) };
        let request = Request::read(frame)?;
        if broker.is_dying() {
            // The fault that crashes the broker has already occurred.
            return Err(ConnectionEnd::Fault);
        }
        // Subscribe before the fault is taken, so that clearing it in between is not missed.
        let cleared = broker.faults.cleared();
        let action = broker.faults.meet(request.api, &request.client_id);
        match action {
            Some(Action::Hold) => cleared.await,
            Some(Action::Delay(delay)) => tokio::time::sleep(delay).await,
            Some(Action::Disconnect) => return Err(ConnectionEnd::Fault),
            Some(Action::CrashBefore { back_after }) => {
                let _ = crash.send(CrashOrder { life: broker.life, back_after });
                return Err(ConnectionEnd::Fault);
            }
            _ => {}
        }
        let answer = match action {
            Some(Action::Error(error)) => Some(api::refuse(&request, error)?),
            Some(Action::EndAt(end)) if request.api == ApiKey::Fetch => {
                Some(api::fetch_before(broker, &request, end).await?)
            }
            _ if may_wait(request.api) => tokio::select! {
                biased;
                answer = api::handle(broker, &request, peer) => answer?,
                // The client has closed the connection.
                () = closed(&mut from) => return Ok(()),
            },
            _ => api::handle(broker, &request, peer).await?,
        };
        let position = broker.journal.position();
        if let Some(Action::LoseAnswer | Action::CrashAfter { .. }) = action {
            // The request counts as done when it is durable. An error here means that the broker has crashed already.
            let durable = broker.journal.durable(position).await;
            if let (Some(Action::CrashAfter { back_after }), Ok(())) = (action, durable) {
                let _ = crash.send(CrashOrder { life: broker.life, back_after });
            }
            return Err(ConnectionEnd::Fault);
        }
        if let Some(answer) = answer {
            let share = answer.len().min(ANSWER_BYTES_WAITING) as u32;
            let share = Arc::clone(&answer_bytes).acquire_many_owned(share).await;
            let share = share.expect("this semaphore is never closed");
            if answers.send((position, answer, share)).await.is_err() {
                // The client has closed the connection.
                return Ok(());
            }
        }
    }
}

/// Whether the request may wait for other clients.
fn may_wait(api: ApiKey) -> bool {
    matches!(api, ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup)
}

/// Waits until the client closes the connection. Never returns if it sends another request first.
async fn closed(from: &mut BufReader<OwnedReadHalf>) {
    if from.fill_buf().await.is_ok_and(|more| !more.is_empty()) {
        std::future::pending::<()>().await;
    }
}

async fn write(broker: Arc<Broker>, mut to: OwnedWriteHalf, mut pending: mpsc::Receiver<Pending>) {
    while let Some((position, answer, _share)) = pending.recv().await {
        // The broker has crashed, or the storage has failed and the process ends.
        if broker.journal.durable(position).await.is_err() {
            return;
        }
        if !matches!(timeout(IDLE, to.write_all(&answer)).await, Ok(Ok(()))) {
            return;
        }
    }
}
