//! Requests with a key: done once, whatever happens between.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use devstack::{ApiKey, Fault, ResponseError};
use futures::future::{Either, join_all, select};
use models::Side;
use serde_json::{Value, json};

use crate::atomic::{assert_holds_exactly, ids};
use crate::harness::{Answer, Api, DEADLINE, TRIPS, config_for, dev_stack, hasty, in_time};
use crate::topics::{committed, rows_by_trip};

const KEY: &str = "Idempotency-Key";

#[tokio::test]
async fn the_same_request_again_is_answered_with_the_same_trips() {
    let stack = dev_stack();
    let config = config_for(&stack);
    let mut texts = HashSet::new();
    let mut last = None;
    // Each time with a process that knows only what the topic says.
    for start in 0..3 {
        let api = Api::ready(config.clone()).await;
        for (asked, key) in ["k-1", "\"k-1\"", "k-1"].into_iter().enumerate() {
            let answer = api.trips_once(key, 20).await;
            assert_eq!(answer.is_replayed, (start, asked) != (0, 0), "{answer:?}");
            texts.insert(answer.text.clone());
            last = Some(answer);
        }
        api.stop().await.unwrap();
    }
    assert_eq!(texts.len(), 1);
    assert_holds_exactly(&config, ids(&last.unwrap()));
}

#[tokio::test]
async fn every_endpoint_takes_a_key() {
    let stack = dev_stack();
    let config = config_for(&stack);
    let api = Api::ready(config.clone()).await;
    let paths =
        ["generate-trip", "generate-driver-earning", "generate-rider", "generate-complete-trip"];
    let given = json!({ "trip_id": "t-1" });
    let mut answers = BTreeMap::new();
    for path in paths {
        let path = format!("/api/{path}");
        let [first, again] = [
            api.post_with(&path, &[(KEY, &path)], &given).await,
            api.post_with(&path, &[(KEY, &path)], &given).await,
        ];
        assert_eq!((first.status, again.status, &first.text), (200, 200, &again.text), "{path}");
        assert!(again.is_replayed && !first.is_replayed);
        answers.insert(path, first.text);
    }
    api.stop().await.unwrap();
    let restarted = Api::ready(config.clone()).await;
    for (path, text) in &answers {
        assert_eq!(&restarted.post_with(path, &[(KEY, path)], &given).await.text, text);
    }
    restarted.stop().await.unwrap();
    for side in Side::ALL {
        assert_eq!(committed(&config, &config.topics.input(side).name).len(), 2, "{side}");
    }
}

#[tokio::test]
async fn a_key_is_for_one_request() {
    let stack = dev_stack();
    let config = config_for(&stack);
    let api = Api::ready(config.clone()).await;
    let trips = ids(&api.trips_once("k", 2).await);
    let other = json!({
        "detail": "this Idempotency-Key was used for another request: another path or another body"
    });
    for (path, body) in [
        (TRIPS, json!({ "number_of_trips": 3 })),
        (TRIPS, json!({ "number_of_trips": 2, "x": 1 })),
        ("/api/generate-trip", json!({ "number_of_trips": 2 })),
    ] {
        let answer = api.post_with(path, &[(KEY, "k")], &body).await;
        assert_eq!((answer.status, answer.json()), (422, other.clone()), "{path} {body}");
    }
    // What is wrong with the body itself is said first, and uses no key.
    let wrong = json!({ "number_of_trips": "x" });
    assert_eq!(
        api.post_with(TRIPS, &[(KEY, "l")], &wrong).await.json()["detail"][0]["type"],
        "int_parsing"
    );
    for (path, wrong) in [(TRIPS, wrong), ("/api/generate-trip", json!([]))] {
        assert_eq!(api.post_with(path, &[(KEY, "")], &wrong).await.status, 422, "{path}");
    }
    let trips = trips.into_iter().chain(ids(&api.trips_once("l", 1).await));
    for (key, detail) in [
        ("", "the header Idempotency-Key must have from 1 to 255 characters"),
        (
            "\"a",
            "the header Idempotency-Key has a quote that isn't closed, or an escape other than \\\" and \\\\",
        ),
    ] {
        let answer = api.trips_once(key, 1).await;
        assert_eq!((answer.status, answer.json()), (400, json!({ "detail": detail })));
    }
    api.stop().await.unwrap();
    assert_holds_exactly(&config, trips);
}

#[tokio::test]
async fn a_second_request_while_the_first_one_runs_is_a_409() {
    let stack = dev_stack();
    let config = config_for(&stack);
    let api = Api::ready(config.clone()).await;
    assert_eq!(api.trips_once("before", 1).await.status, 200);
    stack.inject(Fault::hold().of(ApiKey::EndTxn));
    // One of them is the first, and waits for Kafka.
    let [one, other] = [api.trips_once("k", 3), api.trips_once("k", 3)].map(Box::pin);
    let (Either::Left((second, first)) | Either::Right((second, first))) = select(one, other).await;
    assert_eq!((second.status, second.retry_after.as_deref()), (409, Some("1")));
    assert_eq!(
        second.json()["detail"],
        "a request with this Idempotency-Key is being processed; send it again when that one is answered"
    );
    assert_eq!(api.trips_once("k", 4).await.status, 422, "another body is wrong whenever it comes");
    stack.clear_faults();
    let first = first.await;
    let again = api.trips_once("k", 3).await;
    assert_eq!((first.status, again.status, first.text), (200, 200, again.text));
    api.stop().await.unwrap();
}

#[tokio::test]
async fn a_hundred_at_once_and_more_after_restarts_make_one_set_of_trips() {
    let stack = dev_stack();
    let config = config_for(&stack);
    let mut texts = HashSet::new();
    let mut last = None;
    for _ in 0..3 {
        let api = Api::ready(config.clone()).await;
        for answer in join_all((0..100).map(|_| api.trips_once("k", 10))).await {
            match answer.status {
                200 => {
                    texts.insert(answer.text.clone());
                    last = Some(answer);
                }
                409 => {}
                _ => panic!("{answer:?}"),
            }
        }
        api.stop().await.unwrap();
    }
    assert_eq!(texts.len(), 1);
    assert_holds_exactly(&config, ids(&last.unwrap()));
}

#[tokio::test]
async fn several_processes_make_one_set_of_trips_a_key() {
    const KEYS: usize = 15;
    let stack = dev_stack();
    let config = config_for(&stack);
    let apis = [(); 3];
    let apis = join_all(apis.map(|()| Api::ready(config.clone()))).await;
    let mut trips = HashSet::new();
    for key in 0..KEYS {
        let key = format!("k-{key}");
        // All at once, and again on each.
        let at_once = join_all(apis.iter().map(|api| api.trips_once(&key, 4))).await;
        let again = join_all(apis.iter().map(|api| api.trips_once(&key, 4))).await;
        let texts: HashSet<_> = at_once.iter().chain(&again).map(|answer| &answer.text).collect();
        assert_eq!(texts.len(), 1, "{texts:?}");
        trips.extend(ids(&at_once[0]));
        let first = at_once.iter().filter(|answer| !answer.is_replayed).count();
        assert!(first <= 1, "{first} processes say that they were the first");
    }
    for api in apis {
        api.stop().await.unwrap();
    }
    assert_eq!(trips.len(), KEYS * 4);
    assert_holds_exactly(&config, trips);
}

/// Sends the request with `key` again until it is answered, which it must be; until then with one of `undecided`.
async fn found_out(api: &Api, key: &str, number: u32, undecided: &[u16]) -> Answer {
    let answered = async {
        loop {
            let answer = api.trips_once(key, number).await;
            if answer.status == 200 {
                return answer;
            }
            assert!(undecided.contains(&answer.status), "{answer:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(DEADLINE, answered).await.unwrap()
}

#[tokio::test]
async fn a_commit_without_an_answer_is_found_out_by_the_same_key() {
    for fault in [Fault::hold(), Fault::lose_answer()] {
        let stack = dev_stack();
        let config = hasty(&stack);
        let api = Api::ready(config.clone()).await;
        found_out(&api, "before", 100, &[409, 504]).await;
        // Nothing comes back for longer than a request may take, however often Kafka is asked.
        stack.inject(fault.of(ApiKey::EndTxn).times(1_000));
        let answer = in_time(|| api.trips_once("k", 5)).await;
        if answer.status != 200 {
            assert_eq!(
                (answer.status, &answer.json()["produced"]),
                (504, &Value::Null),
                "{answer:?}"
            );
            assert!(
                answer.text.contains("send it again with the same Idempotency-Key"),
                "{answer:?}"
            );
        }
        stack.clear_faults();
        let found_out = found_out(&api, "k", 5, &[409, 504]).await;
        assert_eq!(api.trips_once("k", 5).await.text, found_out.text);
        api.stop().await.unwrap();
        let found = rows_by_trip(&config);
        assert_eq!(found.len(), 105);
        assert!(ids(&found_out).iter().all(|trip| found[trip] == [1; 3]), "{found:?}");
    }
}

#[tokio::test]
async fn a_request_in_doubt_stays_so_when_kafka_refuses_the_transactional_id() {
    let stack = dev_stack();
    let config = hasty(&stack);
    let api = Api::ready(config.clone()).await;
    // To every partition: what comes next has only its commit to wait for.
    found_out(&api, "before", 100, &[409, 504]).await;
    stack.inject(Fault::lose_answer().of(ApiKey::EndTxn).times(1_000));
    let refusal = Fault::error(ResponseError::TransactionalIdAuthorizationFailed);
    stack.inject(refusal.of(ApiKey::InitProducerId).times(1_000));
    let answer = in_time(|| api.trips_once("k", 5)).await;
    assert_eq!((answer.status, &answer.json()["produced"]), (504, &Value::Null), "{answer:?}");
    assert_eq!(api.trips_once("k", 5).await.status, 409, "it is not decided");
    let other = api.trips_once("other", 1).await;
    // Refused, or out of time before Kafka could be asked; not written in any case.
    assert!([502, 504].contains(&other.status), "{other:?}");
    assert_eq!(other.json()["produced"], false, "{other:?}");
    stack.clear_faults();
    let found_out = found_out(&api, "k", 5, &[409]).await;
    // Counted once, though the one who asked first did not wait to hear it.
    let delivered = r#"tripstream_api_records_total{topic="hw.fake.trips",result="delivered"}"#;
    api.wait_for_metric(delivered, 105.0).await;
    let new = r#"tripstream_api_idempotent_requests_total{result="new"}"#;
    api.wait_for_metric(new, 2.0).await;
    api.stop().await.unwrap();
    let found = rows_by_trip(&config);
    assert_eq!(found.len(), 105);
    assert!(ids(&found_out).iter().all(|trip| found[trip] == [1; 3]), "{found:?}");
}

#[tokio::test]
async fn a_request_that_failed_leaves_its_key_free() {
    let stack = dev_stack();
    let config = config_for(&stack);
    let api = Api::ready(config.clone()).await;
    stack.inject(Fault::error(ResponseError::InvalidRecord).of(ApiKey::Produce));
    assert_eq!(api.trips_once("k", 5).await.status, 502);
    let other_body = api.trips_once("k", 6).await;
    assert!(!other_body.is_replayed);
    api.stop().await.unwrap();
    assert_holds_exactly(&config, ids(&other_body));
}

#[tokio::test]
async fn keys_are_forgotten_when_their_window_is_over_or_too_many_come() {
    const KNOWN: &str = "tripstream_api_idempotency_keys";
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.idempotency_keys = 3;
    let api = Api::ready(config.clone()).await;
    let mut answers = Vec::new();
    for key in 0..6 {
        answers.push(api.trips_once(&format!("k-{key}"), 1).await.text);
    }
    assert_eq!(api.metric(KNOWN).await, Some(3.0));
    api.stop().await.unwrap();

    let api = Api::ready(config.clone()).await;
    assert_eq!(api.metric(KNOWN).await, Some(3.0), "the topic has forgotten them, too");
    assert_eq!(api.trips_once("k-5", 1).await.text, answers[5]);
    assert_ne!(api.trips_once("k-0", 1).await.text, answers[0]);
    api.stop().await.unwrap();

    config.producer.delivery_timeout = Duration::from_millis(1_500);
    config.producer.idempotency_window = config.producer.delivery_timeout * 2;
    let api = Api::ready(config).await;
    // The last one that was used: when it is forgotten, so are the others.
    let forgotten = async {
        loop {
            let answer = api.trips_once("k-0", 1).await;
            // On a slow machine, time may run out for the first one that is new.
            if answer.status == 200 && !answer.is_replayed {
                break;
            }
        }
    };
    tokio::time::timeout(DEADLINE, forgotten).await.expect("its window ends");
    assert_eq!(api.metric(KNOWN).await, Some(1.0));
    api.stop().await.unwrap();
}

#[tokio::test]
async fn without_a_topic_of_keys_none_is_taken() {
    let stack = dev_stack();
    let mut config = config_for(&stack);
    config.producer.idempotency_topic = String::new();
    let api = Api::ready(config).await;
    let answer = api.trips_once("k", 1).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("producer.idempotency_topic"), "{answer:?}");
    assert_eq!(api.atomic_trips(1).await.status, 200);
    api.stop().await.unwrap();
}
