//! Faults of requests to write.

use std::time::Instant;

use devstack::{ApiKey, Fault, ResponseError};
use futures::FutureExt;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::FutureProducer;

use crate::clients::{AWAY, all_at_once, broken_requests, client, idempotent, send, stack, values};

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_a_write_of_an_idempotent_producer_it_is_there_once() {
    let others = [
        Fault::lose_answer().times(3),
        Fault::error(ResponseError::NotLeaderOrFollower),
        Fault::error(ResponseError::NotEnoughReplicas).times(2),
        Fault::delay(AWAY),
    ];
    all_at_once(broken_requests().into_iter().chain(others), async |fault| {
        let stack = stack().await;
        let producer = idempotent(&stack);
        stack.inject(fault.of(ApiKey::Produce).after(1));
        let written: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        // One record is sent before the fault, some during it, some after it.
        for values in [&written[..1], &written[1..15], &written[15..]] {
            let sends = values.iter().map(|value| send(&producer, value));
            for sent in futures::future::join_all(sends).await {
                sent.unwrap();
            }
        }
        assert_eq!(stack.clear_faults(), 0, "it has come");
        assert_eq!(values(&stack), written);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_makes_a_producer_without_idempotence_write_twice() {
    let stack = stack().await;
    let producer: FutureProducer = client(&stack, &[("enable.idempotence", "false")]);
    stack.inject(Fault::lose_answer().of(ApiKey::Produce));
    send(&producer, "value").await.unwrap();
    assert_eq!(values(&stack), ["value", "value"], "its first write was done");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nth_request_is_answered_with_the_error_and_not_done() {
    let stack = stack().await;
    let producer = idempotent(&stack);
    stack.inject(Fault::error(ResponseError::InvalidRecord).of(ApiKey::Produce).after(2));
    let mut refused = Vec::new();
    for value in ["a", "b", "c", "d"] {
        if let Err(error) = send(&producer, value).await {
            let code = RDKafkaErrorCode::InvalidRecord;
            assert_eq!(error, KafkaError::MessageProduction(code), "{value}");
            refused.push(value);
        }
    }
    assert_eq!(refused, ["c"]);
    assert_eq!(values(&stack), ["a", "b", "d"]);
}

/// As after a change of the leader, or with a follower near by (KIP-392).
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_is_told_the_end_of_a_replica_that_is_behind() {
    let stack = stack().await;
    let producer = idempotent(&stack);
    for value in ["a", "b", "c"] {
        send(&producer, value).await.unwrap();
    }
    for (end, before) in [(0, &[][..]), (1, &["a"]), (2, &["a", "b"])] {
        // From offset 0 on, the first answer ends there.
        stack.inject(Fault::replica_behind(end).times(if end == 0 { 1 } else { 2 }));
        assert_eq!(values(&stack), before, "the replica ends at {end}");
        assert_eq!(stack.clear_faults(), 0, "it has come");
    }
    stack.inject(Fault::replica_behind(100).times(2));
    assert_eq!(values(&stack), ["a", "b", "c"], "no log goes so far");
    stack.clear_faults();
    assert_eq!(values(&stack), ["a", "b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_behind_ends_before_the_batch_that_it_lacks() {
    let stack = stack().await;
    let producer: FutureProducer =
        client(&stack, &[("linger.ms", "1000"), ("batch.num.messages", "2")]);
    let sends = ["a", "b", "c", "d"].map(|value| send(&producer, value));
    for sent in futures::future::join_all(sends).await {
        sent.unwrap();
    }
    stack.inject(Fault::replica_behind(2).times(2));
    assert_eq!(values(&stack), ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_request_takes_as_long() {
    let stack = stack().await;
    let producer = idempotent(&stack);
    send(&producer, "a").await.unwrap();
    let delay = 10 * AWAY;
    stack.inject(Fault::delay(delay).of(ApiKey::Produce));
    let start = Instant::now();
    send(&producer, "b").await.unwrap();
    assert!(start.elapsed() >= delay, "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_request_waits_until_faults_are_cleared_and_other_clients_do_not_wait_for_it() {
    let stack = stack().await;
    let [held, other] =
        ["held", "other"].map(|id| client::<FutureProducer>(&stack, &[("client.id", id)]));
    stack.inject(Fault::hold().of(ApiKey::Produce).from_client("held"));
    let mut sending = Box::pin(send(&held, "held"));
    assert!((&mut sending).now_or_never().is_none());
    for n in 0..10 {
        send(&other, &n.to_string()).await.unwrap();
    }
    assert!((&mut sending).now_or_never().is_none());
    assert_eq!(values(&stack).len(), 10);

    stack.clear_faults();
    assert_eq!(sending.await.unwrap(), 10);
    assert_eq!(values(&stack).len(), 11);
}
