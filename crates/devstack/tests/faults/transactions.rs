//! Faults of transactions.

use devstack::{ApiKey, DevStack, Fault, ResponseError};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};

use crate::clients::{
    AWAY, DEADLINE, TOPIC, all_at_once, broken_requests, client, committed, end, send, stack,
    values,
};

const GROUP: &str = "group";

fn transactional(stack: &DevStack) -> FutureProducer {
    client(stack, &[("transactional.id", "id")])
}

/// Repeats a call that failed with a retriable error, as librdkafka's documentation demands. Other errors are returned.
fn insist(mut call: impl FnMut() -> Result<(), KafkaError>) -> Result<(), KafkaError> {
    loop {
        match call() {
            Err(KafkaError::Transaction(error)) if error.is_retriable() => {}
            outcome => return outcome,
        }
    }
}

/// Writes a value and commits an offset of [`GROUP`] in one transaction, and repeats that until it succeeds.
async fn transact(stack: &DevStack, producer: &FutureProducer, value: &str, offset: i64) {
    let consumer: BaseConsumer = client(stack, &[("group.id", GROUP)]);
    let group = consumer.group_metadata().unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(TOPIC, 0, Offset::Offset(offset)).unwrap();
    loop {
        producer.begin_transaction().unwrap();
        let done = match send(producer, value).await {
            Ok(_) => insist(|| producer.send_offsets_to_transaction(&offsets, &group, DEADLINE))
                .and_then(|()| insist(|| producer.commit_transaction(DEADLINE))),
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => return,
            Err(KafkaError::Transaction(error)) if !error.txn_requires_abort() => panic!("{error}"),
            Err(_) => insist(|| producer.abort_transaction(DEADLINE)).unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_a_commit_it_is_done_once() {
    let others = [
        Fault::lose_answer().times(3),
        Fault::error(ResponseError::CoordinatorNotAvailable).times(2),
        Fault::error(ResponseError::ConcurrentTransactions),
        Fault::delay(AWAY),
    ];
    all_at_once(broken_requests().into_iter().chain(others), async |fault| {
        let stack = stack().await;
        let producer = transactional(&stack);
        producer.init_transactions(DEADLINE).unwrap();
        for value in ["a", "b"] {
            producer.begin_transaction().unwrap();
            send(&producer, value).await.unwrap();
            stack.inject(fault.clone().of(ApiKey::EndTxn));
            producer.commit_transaction(DEADLINE).unwrap();
            assert_eq!(stack.clear_faults(), 0, "it has come");
        }
        assert_eq!(values(&stack), ["a", "b"]);
        assert_eq!(end(&stack), 4, "a record and one marker each");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_survives_whatever_happens_to_any_of_its_requests() {
    let apis = [
        ApiKey::ApiVersions,
        ApiKey::Metadata,
        ApiKey::FindCoordinator,
        ApiKey::InitProducerId,
        ApiKey::AddPartitionsToTxn,
        ApiKey::Produce,
        ApiKey::AddOffsetsToTxn,
        ApiKey::TxnOffsetCommit,
        ApiKey::EndTxn,
    ];
    let of = |api| broken_requests().map(|fault| fault.of(api).from_client("transactional"));
    all_at_once(apis.into_iter().flat_map(of), async |fault| {
        let stack = stack().await;
        stack.inject(fault);
        let settings = [("transactional.id", "id"), ("client.id", "transactional")];
        let producer: FutureProducer = client(&stack, &settings);
        insist(|| producer.init_transactions(DEADLINE)).unwrap();
        transact(&stack, &producer, "a", 1).await;
        transact(&stack, &producer, "b", 2).await;
        assert_eq!(stack.clear_faults(), 0, "it has come");
        assert_eq!(values(&stack), ["a", "b"]);
        assert_eq!(committed(&stack, GROUP), Offset::Offset(2));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_timed_out_is_aborted_and_its_producer_fenced() {
    let stack = stack().await;
    let producer = transactional(&stack);
    producer.init_transactions(DEADLINE).unwrap();
    assert!(!stack.time_out_transaction("id"), "none is open");
    producer.begin_transaction().unwrap();
    send(&producer, "timed out").await.unwrap();
    assert!(stack.time_out_transaction("id"));
    let error = producer.commit_transaction(DEADLINE).unwrap_err();
    let KafkaError::Transaction(error) = error else { panic!("{error}") };
    assert!(error.is_fatal(), "{error}");
    assert_eq!(error.code(), RDKafkaErrorCode::Fenced);
    assert!(values(&stack).is_empty());

    let next = transactional(&stack);
    next.init_transactions(DEADLINE).unwrap();
    next.begin_transaction().unwrap();
    send(&next, "next").await.unwrap();
    next.commit_transaction(DEADLINE).unwrap();
    assert_eq!(values(&stack), ["next"]);
}
