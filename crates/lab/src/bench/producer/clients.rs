//! Clients that ask the API for trips as fast as it answers: a closed loop, in which each sends its next request when it
//! has the answer to the last.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use service::Shutdown;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use trip_client::Timings;

use super::answer::{Answer, Depth, check};
use super::load::Load;
use super::report::Figures;
use crate::bench::{BenchError, Usage};
use crate::connection::{Connection, post};

const PATH: &str = "/api/generate-multiple-trips";
/// What is not measured: connecting, and whatever is slower the first time.
const WARM_UP: Duration = Duration::from_secs(1);
/// How long the last answers may take.
const LAST_ANSWERS: Duration = Duration::from_secs(30);

/// What came of a load.
pub(super) struct Measured {
    pub(super) figures: Figures,
    /// All trips that were answered, those of the warm-up, too.
    pub(super) answered_trips: u64,
}

const WARMING_UP: u8 = 0;
const MEASURING: u8 = 1;
const ENDING: u8 = 2;

/// What the clients of a load share.
struct Clients {
    load: Load,
    address: SocketAddr,
    request: Request<Full<Bytes>>,
    phase: AtomicU8,
    answers: AtomicU64,
    latency: Mutex<Timings>,
}

/// Puts `load` on the API at `address` and measures it for `duration`, on one thread: the cores are the API's and
/// Kafka's, too. Blocks.
pub(super) fn run(
    load: Load,
    address: SocketAddr,
    process_id: u32,
    duration: Duration,
    shutdown: &Shutdown,
) -> Result<Measured, BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(BenchError::system("making a runtime for the clients"))?;
    let json = format!(r#"{{"number_of_trips":{}}}"#, load.trips);
    let clients = Arc::new(Clients {
        load,
        address,
        request: post(PATH, address, json.into()),
        phase: AtomicU8::new(WARMING_UP),
        answers: AtomicU64::new(0),
        latency: Mutex::default(),
    });
    runtime.block_on(measure(&clients, &process_id.to_string(), duration, shutdown))
}

async fn measure(
    clients: &Arc<Clients>,
    process_id: &str,
    duration: Duration,
    shutdown: &Shutdown,
) -> Result<Measured, BenchError> {
    let mut tasks = JoinSet::new();
    for _ in 0..clients.load.connections {
        let clients = Arc::clone(clients);
        tasks.spawn(async move { clients.ask_until_the_end().await });
    }
    let timeline = async {
        let usage = || [Usage::of(process_id), Usage::of("self")];
        sleep(WARM_UP).await;
        let (before, start) = (usage(), Instant::now());
        clients.phase.store(MEASURING, Ordering::Relaxed);
        sleep(duration).await;
        clients.phase.store(ENDING, Ordering::Relaxed);
        (before, usage(), start.elapsed())
    };
    let (before, after, elapsed) = tokio::select! {
        measured = timeline => measured,
        // Nobody ends yet but by failing.
        Some(failed) = tasks.join_next() => {
            return Err(failed.expect("a client does not panic").expect_err("it goes on"));
        }
        () = shutdown.wait() => return Err(BenchError::Interrupted),
    };
    let rest = timeout(LAST_ANSWERS, async {
        while let Some(ended) = tasks.join_next().await {
            ended.expect("a client does not panic")?;
        }
        Ok(())
    });
    rest.await.unwrap_or(Err(BenchError::NoAnswer { after: LAST_ANSWERS }))?;
    let [api, client] = [0, 1].map(|of| after[of].since(before[of]));
    let latency = clients.latency.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Measured {
        figures: Figures::new(clients.load, &latency, elapsed, api, client),
        answered_trips: clients.answers.load(Ordering::Relaxed) * u64::from(clients.load.trips),
    })
}

impl Clients {
    /// One client. The first answer is read, the others are counted.
    async fn ask_until_the_end(&self) -> Result<(), BenchError> {
        let asking = BenchError::system("asking the API for trips");
        let mut connection = Connection::open(self.address).await.map_err(&asking)?;
        let mut body = Vec::new();
        let mut depth = Depth::Read;
        while self.phase.load(Ordering::Relaxed) != ENDING {
            let asked = Instant::now();
            let head = connection.ask(self.request.clone(), &mut body).await.map_err(&asking)?;
            let took = asked.elapsed();
            let answer = Answer { status: head.status.as_u16(), body: &body };
            check(answer, self.load.trips, depth).map_err(|what| BenchError::Answer { what })?;
            self.answers.fetch_add(1, Ordering::Relaxed);
            if self.phase.load(Ordering::Relaxed) == MEASURING {
                self.latency.lock().unwrap_or_else(PoisonError::into_inner).record(took);
            }
            depth = Depth::Counted;
        }
        Ok(())
    }
}
