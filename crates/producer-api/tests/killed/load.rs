//! Clients that ask for trips in transactions, with and without a key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use models::records::CompleteTrip;
use reqwest::Client;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::process::Api;

/// Trips of a request with a key, and of one without: so they can be told apart in the topics.
pub(crate) const ONCE_TRIPS: usize = 7;
pub(crate) const ATOMIC_TRIPS: usize = 4;
/// Clients of each kind an API.
const CLIENTS: usize = 2;
/// Nothing takes this long, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// What clients were told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Trips of requests without a key that were answered with 200.
    pub(crate) atomic: Vec<String>,
    /// Requests without a key that had another answer or none.
    pub(crate) unanswered: u64,
    /// The trips of each key.
    pub(crate) once: BTreeMap<String, BTreeSet<String>>,
    /// Requests with a key.
    pub(crate) asked_once: u64,
}

impl Told {
    pub(crate) fn add(&mut self, other: Self) {
        self.atomic.extend(other.atomic);
        self.once.extend(other.once);
        self.unanswered += other.unanswered;
        self.asked_once += other.asked_once;
    }
}

/// What all clients share.
pub(crate) struct Load {
    urls: Vec<String>,
    client: Client,
    /// Answers 200 of each API.
    answered: Vec<AtomicU64>,
    pub(crate) ending: AtomicBool,
}

impl Load {
    pub(crate) fn new(urls: Vec<String>) -> Self {
        let answered = urls.iter().map(|_| AtomicU64::new(0)).collect();
        let client = Client::builder().timeout(DEADLINE).build().unwrap();
        Self { urls, client, answered, ending: AtomicBool::new(false) }
    }

    pub(crate) fn start(self: &Arc<Self>) -> Vec<JoinHandle<Told>> {
        let mut clients = Vec::new();
        for number in 0..self.urls.len() * CLIENTS {
            clients.push(tokio::spawn(Arc::clone(self).ask_without_key(number)));
            clients.push(tokio::spawn(Arc::clone(self).ask_with_keys(number)));
        }
        clients
    }

    /// Returns when every API has answered what it was asked after the call.
    pub(crate) async fn goes_on(&self, apis: &mut [Api]) {
        let counts = || self.answered.iter().map(|count| count.load(Ordering::Relaxed));
        let before: Vec<u64> = counts().collect();
        let end = Instant::now() + DEADLINE;
        // One answer may have been under way.
        while counts().zip(&before).any(|(now, before)| now < before + 2) {
            apis.iter_mut().for_each(Api::assert_running);
            assert!(Instant::now() < end, "no answers: {before:?}, now {:?}", self.answered);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The text of an answer 200; none for anything else.
    async fn ask(&self, api: usize, header: (&str, &str), trips: usize) -> Option<String> {
        let api = api % self.urls.len();
        let url = format!("{}/api/generate-multiple-trips", self.urls[api]);
        let request = self.client.post(url).header(header.0, header.1);
        let asked = request.json(&json!({ "number_of_trips": trips })).send().await;
        let Ok(answer) = asked else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            return None;
        };
        if answer.status() != 200 {
            // 409: the first one with this key still runs; 502 to 504: starting, or the broker's troubles.
            assert!([409, 502, 503, 504].contains(&answer.status().as_u16()), "{answer:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
            return None;
        }
        let text = answer.text().await.ok()?;
        self.answered[api].fetch_add(1, Ordering::Relaxed);
        Some(text)
    }

    async fn ask_without_key(self: Arc<Self>, number: usize) -> Told {
        let mut told = Told::default();
        while !self.ending.load(Ordering::Relaxed) {
            match self.ask(number, ("Tripstream-Atomic", "true"), ATOMIC_TRIPS).await {
                Some(text) => told.atomic.extend(ids(&text)),
                None => told.unanswered += 1,
            }
        }
        told
    }

    /// Asks with each key until it is answered, then again, of one API and the other.
    async fn ask_with_keys(self: Arc<Self>, number: usize) -> Told {
        let mut told = Told::default();
        for nth in 0.. {
            if self.ending.load(Ordering::Relaxed) {
                break;
            }
            let key = format!("client-{number}-{nth}");
            let mut answers = BTreeSet::new();
            let mut answered = 0;
            for attempt in 0.. {
                told.asked_once += 1;
                let text = self.ask(number + attempt, ("Idempotency-Key", &key), ONCE_TRIPS).await;
                if let Some(text) = text {
                    answers.insert(text);
                    answered += 1;
                }
                if answered == 3 {
                    break;
                }
            }
            assert_eq!(answers.len(), 1, "{key} has one answer: {answers:?}");
            told.once.insert(key, ids(answers.first().unwrap()).collect());
        }
        told
    }
}

fn ids(text: &str) -> impl Iterator<Item = String> {
    let trips: Vec<CompleteTrip> = serde_json::from_str(text).unwrap();
    trips.into_iter().map(|trip| trip.trip_id)
}
