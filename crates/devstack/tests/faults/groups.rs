//! Members of consumer groups: sessions that expire, and brokers that come back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use devstack::DevStack;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::FutureProducer;
use rdkafka::{ClientContext, Offset};

use crate::clients::{AWAY, DEADLINE, TOPIC, committed, config, idempotent, send, stack, text};

const GROUP: &str = "group";

/// Counts how often the member was assigned its partitions.
#[derive(Default)]
struct Assignments(AtomicUsize);

impl ClientContext for Assignments {}

impl ConsumerContext for Assignments {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Assign(_)) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Member(BaseConsumer<Assignments>);

impl Member {
    /// A consumer that has joined [`GROUP`].
    fn join(stack: &DevStack) -> Self {
        let settings = [
            ("group.id", GROUP),
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "false"),
            ("heartbeat.interval.ms", "50"),
        ];
        let consumer = config(stack, &settings).create_with_context(Assignments::default());
        let member = Self(consumer.unwrap());
        member.0.subscribe(&[TOPIC]).unwrap();
        member
    }

    fn assignments(&self) -> usize {
        self.0.context().0.load(Ordering::Relaxed)
    }

    /// The next value. Waits while the broker is down.
    fn next(&self) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            assert!(Instant::now() < end, "no record within {DEADLINE:?}");
            match self.0.poll(AWAY) {
                Some(Ok(message)) => return text(&message),
                Some(Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure,
                )))
                | None => {}
                Some(Err(error)) => panic!("{error}"),
            }
        }
    }

    /// Polls until it was assigned its partitions `times` times.
    fn is_assigned(&self, times: usize) {
        let end = Instant::now() + DEADLINE;
        while self.assignments() < times {
            assert!(Instant::now() < end, "not assigned within {DEADLINE:?}");
            if let Some(message) = self.0.poll(AWAY) {
                panic!("{message:?}");
            }
        }
    }
}

/// A stack with one record, and a group that has read it and committed its offset.
async fn read_and_committed_one() -> (DevStack, FutureProducer, Member) {
    let stack = stack().await;
    let producer = idempotent(&stack);
    send(&producer, "a").await.unwrap();
    let member = Member::join(&stack);
    assert_eq!(member.next(), "a");
    member.0.commit_consumer_state(CommitMode::Sync).unwrap();
    (stack, producer, member)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_session_expires_joins_again_and_goes_on_where_it_has_committed() {
    let (stack, producer, member) = read_and_committed_one().await;

    assert_eq!(stack.expire_sessions("another group"), 0);
    assert_eq!(stack.expire_sessions(GROUP), 1);
    member.is_assigned(2);
    send(&producer, "b").await.unwrap();
    assert_eq!(member.next(), "b");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_keeps_members_and_offsets_of_a_group() {
    let (stack, producer, member) = read_and_committed_one().await;

    stack.crash();
    assert!(!stack.is_running());
    stack.restart();
    assert!(stack.is_running());
    send(&producer, "b").await.unwrap();
    assert_eq!(member.next(), "b");
    assert_eq!(committed(&stack, GROUP), Offset::Offset(1));
    // It is still the same member: another member's commit would be refused.
    member.0.commit_consumer_state(CommitMode::Sync).unwrap();
    assert_eq!(committed(&stack, GROUP), Offset::Offset(2));
    assert_eq!(member.assignments(), 1, "nobody had to join again");
}
