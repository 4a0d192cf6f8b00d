//! In which order the inputs are read.

// Clippy's exception for tests sees functions marked as tests only, and rustc takes the harness for a library.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod harness;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use devstack::{Addresses, ApiKey, DevStack, Fault, Options};
use harness::{Rig, eventually, now_ms};
use models::Side;

const CLIENT: &str = "joiner-under-test";
/// How far the trips' timestamps are behind those of the rows that come with them. Within the window.
const BEHIND_MS: i64 = 5 * 60 * 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_together_are_joined_at_once_whatever_their_timestamps() {
    let stack = DevStack::start(Options::default()).unwrap();
    let addresses = Addresses {
        bootstrap_servers: stack.bootstrap_servers(),
        registry_url: stack.registry_url(),
    };
    let mut rig = Rig::on(addresses, [1, 1, 1]).await;
    CLIENT.clone_into(&mut rig.config.kafka.client_id);
    // As from far away: there is something in each answer, and the end of a partition is never told.
    let from_far_away = Fault::delay(Duration::from_millis(30)).of(ApiKey::Fetch);
    stack.inject(from_far_away.from_client(CLIENT).times(u64::MAX));
    let joiner = rig.start();
    joiner.ready().await;
    let enough = AtomicBool::new(false);
    let writing = async {
        for number in 0.. {
            let id = format!("trip-{number}");
            for side in Side::ALL {
                let at = now_ms() - if side == Side::Trip { BEHIND_MS } else { 0 };
                rig.produce(side, [(0, id.clone(), Some(rig.value(side, &id)), at)]).await;
            }
            if enough.load(Ordering::Relaxed) {
                return number;
            }
        }
        unreachable!("there are numbers enough")
    };
    let joining = async {
        let joined = || {
            let text = joiner.ctx.metrics.encode();
            let line = text.lines().find(|line| line.starts_with("tripstream_joiner_joined_total"));
            line.is_some_and(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap() >= 100)
        };
        eventually("trips are joined", || async { joined().then_some(()) }).await;
        enough.store(true, Ordering::Relaxed);
    };
    let (written, ()) = tokio::join!(writing, joining);
    assert!(written < 1_000, "{written} trips were written before 100 were joined");
    stack.clear_faults();
    joiner.stop().await;
}
