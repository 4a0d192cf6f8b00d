//! APIs that are killed at random moments, as processes, while the broker has its own troubles: who reads what is
//! committed sees all records of a request or none, what was answered is there, and one set of trips a key.
//!
//! `TRIPSTREAM_TEST_KILLS` is how often an API is killed (5 if not set), `TRIPSTREAM_TEST_SEED` repeats the choices of
//! a run, though not its timing.

// Clippy's exception for tests sees functions marked as tests only. The seed and what a run has done are to be seen.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod load;
mod process;
#[path = "../topics/mod.rs"]
mod topics;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use avro_schemas::{RegistryClient, RegistryConfig, SchemaCache};
use devstack::{ApiKey, DevStack, Fault, Options};
use kafka::KafkaConfig;
use load::{ATOMIC_TRIPS, Load, ONCE_TRIPS, Told};
use models::records::Trip;
use process::Api;
use producer_api::ProducerApiConfig;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const KILLS: u64 = 5;
const APIS: usize = 2;
/// What a transaction asks of the broker.
const STEPS: [ApiKey; 4] =
    [ApiKey::InitProducerId, ApiKey::AddPartitionsToTxn, ApiKey::Produce, ApiKey::EndTxn];

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

/// Something that happens to a broker, or nothing.
fn trouble(rng: &mut StdRng) -> Option<Fault> {
    let back_after = Duration::from_millis(50).mul_f64(rng.random());
    let fault = match rng.random_range(0..8) {
        0 => Fault::crash_before(back_after),
        1 => Fault::crash_after(back_after),
        2 => Fault::disconnect(),
        3 => Fault::lose_answer(),
        4 => Fault::delay(Duration::from_millis(300)),
        _ => return None,
    };
    Some(fault.of(STEPS[rng.random_range(0..STEPS.len())]).after(rng.random_range(0..4)))
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_whole_however_often_an_api_is_killed() {
    let kills = from_env("TRIPSTREAM_TEST_KILLS").unwrap_or(KILLS);
    let seed = from_env("TRIPSTREAM_TEST_SEED").unwrap_or_else(rand::random);
    println!("TRIPSTREAM_TEST_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let stack = DevStack::start(Options::default()).unwrap();
    let config = ProducerApiConfig {
        kafka: KafkaConfig {
            bootstrap_servers: stack.bootstrap_servers(),
            ..KafkaConfig::default()
        },
        registry: RegistryConfig { url: stack.registry_url(), ..RegistryConfig::default() },
        ..ProducerApiConfig::default()
    };
    let mut apis: Vec<Api> = (0..APIS).map(|number| Api::start(&config, number)).collect();
    let load = Arc::new(Load::new(apis.iter().map(Api::url).collect()));
    let clients = load.start();
    load.goes_on(&mut apis).await;
    for _ in 0..kills {
        if let Some(fault) = trouble(&mut rng) {
            stack.inject(fault);
        }
        tokio::time::sleep(Duration::from_millis(300).mul_f64(rng.random())).await;
        let api = &mut apis[rng.random_range(0..APIS)];
        api.kill();
        api.restart();
        // Mostly under load, sometimes while it starts.
        if rng.random_ratio(3, 4) {
            load.goes_on(&mut apis).await;
        }
    }
    stack.clear_faults();
    load.goes_on(&mut apis).await;
    load.ending.store(true, Ordering::Relaxed);
    let mut told = Told::default();
    for client in clients {
        told.add(client.await.unwrap());
    }
    // Whoever starts last ends what the killed ones have left open.
    for api in &mut apis {
        api.kill();
        api.restart();
        api.await_ready().await;
    }
    println!("{kills} kills: {}", check(&config, &told).await);
}

/// How many requests without and with a key have so many trips: one, or two that came in the same microsecond.
fn of_size(trips: usize) -> Option<(usize, usize)> {
    let sizes = [(1, 0), (0, 1), (2, 0), (1, 1), (0, 2)];
    sizes.into_iter().find(|(atomic, once)| atomic * ATOMIC_TRIPS + once * ONCE_TRIPS == trips)
}

/// What is in the topics, against what the clients were told.
async fn check(config: &ProducerApiConfig, told: &Told) -> String {
    let (rows, trips) = {
        let config = config.clone();
        let read = move || {
            (topics::rows_by_trip(&config), topics::committed(&config, &config.topics.trips.name))
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    };
    for (trip, rows) in &rows {
        assert_eq!(*rows, [1; 3], "trip {trip} has its three rows, once");
    }
    for trip in told.atomic.iter().chain(told.once.values().flatten()) {
        assert!(rows.contains_key(trip), "trip {trip} was answered, and isn't there");
    }
    // All trips of a request were over at the same time.
    let schemas = SchemaCache::new(RegistryClient::new(&config.registry).unwrap());
    let mut requests: BTreeMap<String, HashSet<String>> = BTreeMap::new();
    for (_, value) in trips {
        let trip: Trip = schemas.decode_fetching(&value).await.unwrap();
        requests.entry(trip.completion_time.unwrap()).or_default().insert(trip.trip_id);
    }
    let (mut atomic, mut once) = (0, 0);
    for (time, trips) in &requests {
        let (others, keyed) = of_size(trips.len()).unwrap_or_else(|| {
            panic!("a request is there in part: {} trips of {time}", trips.len())
        });
        atomic += others;
        once += keyed;
    }
    assert_eq!(once, told.once.len(), "one set of trips a key");
    let answered = told.atomic.len() / ATOMIC_TRIPS;
    assert!(atomic >= answered && once > 0, "{atomic} {answered} {once}");
    format!(
        "{} trips, each with its three rows; {once} keys with one set of trips each, asked for {} times; {atomic} other \
         requests whole, {answered} of them answered with 200, {} not",
        rows.len(),
        told.asked_once,
        told.unanswered
    )
}
