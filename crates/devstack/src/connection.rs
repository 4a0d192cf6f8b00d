//! One client's connection: requests are taken one after the other, and answered in that order, as Kafka does.

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

/// Answers that may wait for the journal, or for a client that reads slowly, before no more requests are read.
const ANSWERS_WAITING: usize = 32;
/// What those may have together in bytes, if a single one isn't larger.
const ANSWER_BYTES_WAITING: usize = 4 << 20;
const READ_BUFFER: usize = 16 << 10;
/// How long a client may say nothing, or not read what it is told (`connections.max.idle.ms`).
const IDLE: Duration = Duration::from_secs(10 * 60);
/// How long the rest of a request may take to come. Clients give up a request after as long (`request.timeout.ms`).
const FRAME: Duration = Duration::from_secs(30);

/// A crash that a fault asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CrashOrder {
    /// Of which life of the broker.
    pub(crate) life: u64,
    pub(crate) back_after: Duration,
}

/// An answer, how far the journal must be before it may leave, and its share of [`ANSWER_BYTES_WAITING`].
type Pending = (JournalPosition, Bytes, OwnedSemaphorePermit);

/// Serves one connection until either side closes it. Large requests wait for `room`; `crash` is told of a crash that a
/// fault asks for.
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
        // What a stranger sends is no error of ours; what we can't write is.
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
                // Answers to earlier requests are lost with it, as they may be on any network.
                writing.abort();
                return;
            }
        }
    }
    // Closed by the client or by us: what is answered already still leaves.
    drop(answers);
    let _ = writing.await;
}

/// Why a connection ends that the client did not close.
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
            // Faults are for those who live.
            return Err(ConnectionEnd::Fault);
        }
        // Before the fault is met, so that nobody clears it unseen.
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
            _ if may_wait(request.api) => tokio::select! {
                biased;
                answer = api::handle(broker, &request, peer) => answer?,
                // Nobody is there to be answered.
                () = closed(&mut from) => return Ok(()),
            },
            _ => api::handle(broker, &request, peer).await?,
        };
        let position = broker.journal.position();
        if let Some(Action::LoseAnswer | Action::CrashAfter { .. }) = action {
            // Done means durable, here as ever. If it can't be, the broker has crashed already.
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
                // The client is gone.
                return Ok(());
            }
        }
    }
}

/// Whether the answer may depend on what other clients do.
fn may_wait(api: ApiKey) -> bool {
    matches!(api, ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup)
}

/// Waits until the client closes the connection, if it does so without sending anything more.
async fn closed(from: &mut BufReader<OwnedReadHalf>) {
    if from.fill_buf().await.is_ok_and(|more| !more.is_empty()) {
        std::future::pending::<()>().await;
    }
}

async fn write(broker: Arc<Broker>, mut to: OwnedWriteHalf, mut pending: mpsc::Receiver<Pending>) {
    while let Some((position, answer, _share)) = pending.recv().await {
        // A crash takes the connections with it; a storage that fails ends the process.
        if broker.journal.durable(position).await.is_err() {
            return;
        }
        if !matches!(timeout(IDLE, to.write_all(&answer)).await, Ok(Ok(()))) {
            return;
        }
    }
}
