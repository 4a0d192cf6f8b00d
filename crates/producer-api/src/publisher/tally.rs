//! The delivery reports of one request, counted until all are in.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use models::Side;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::Notify;

use super::known::{KnownPartitions, SidePartition};
use crate::capacity::Room;
use crate::metrics::ApiMetrics;
use crate::trace::Trace;
use crate::undelivered::{FailedRecord, NAMED_FAILURES, Undelivered};

/// What happened to the records of one request. librdkafka holds a clone for each record on its way.
#[derive(Debug)]
pub(crate) struct DeliveryTally {
    /// Records without a report, plus one while the request still enqueues.
    pending: AtomicUsize,
    sent: [AtomicU64; 3],
    failures: Mutex<FailedDeliveries>,
    complete: Notify,
    metrics: ApiMetrics,
    /// Whose records they are.
    trace: Arc<Trace>,
    /// Of a record that is the first one in its partition.
    introduces: Option<(Arc<KnownPartitions>, SidePartition)>,
    /// Given back with the last report, whoever holds the tally and whether or not it is ever looked at: a client
    /// that stops reading must not keep it from others.
    room: Mutex<Option<Room>>,
}

#[derive(Debug, Default)]
struct FailedDeliveries {
    by_side: [u64; 3],
    timed_out: u64,
    named: Vec<FailedRecord>,
    /// Of the last one.
    code: Option<RDKafkaErrorCode>,
}

impl DeliveryTally {
    /// A tally that is pending until [`DeliveryTally::settle`] is called once, beside the reports of its records.
    pub(crate) fn new(room: Room, metrics: ApiMetrics, trace: Arc<Trace>) -> Arc<Self> {
        Arc::new(Self {
            pending: AtomicUsize::new(1),
            sent: Default::default(),
            failures: Mutex::default(),
            complete: Notify::new(),
            metrics,
            trace,
            introduces: None,
            room: Mutex::new(Some(room)),
        })
    }

    /// A tally of the one record of `side` that is sent as the first one in `place`. What becomes of it, `known` is told.
    pub(super) fn of_first(
        known: Arc<KnownPartitions>,
        place: SidePartition,
        metrics: ApiMetrics,
        trace: Arc<Trace>,
    ) -> Arc<Self> {
        let tally = Self {
            pending: AtomicUsize::new(0),
            sent: Default::default(),
            failures: Mutex::default(),
            complete: Notify::new(),
            metrics,
            trace,
            introduces: Some((known, place)),
            room: Mutex::new(None),
        };
        tally.expect(place.side);
        Arc::new(tally)
    }

    /// Expects one more report.
    pub(crate) fn expect(&self, side: Side) {
        self.pending.fetch_add(1, Ordering::Relaxed);
        self.sent[side.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a record failed. Its report is settled apart from this.
    pub(crate) fn fail(&self, side: Side, trip_id: &str, topic: &str, error: &KafkaError) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.by_side[side.index()] += 1;
        failures.timed_out += u64::from(is_timeout(error));
        failures.code = error.rdkafka_error_code();
        if failures.named.len() < NAMED_FAILURES {
            failures.named.push(FailedRecord {
                topic: topic.to_owned(),
                trip_id: trip_id.to_owned(),
                error: words(error),
            });
        }
    }

    /// One report is in. The last one counts all of them, gives the room back and wakes the request.
    pub(crate) fn settle(&self) {
        // Release what this report wrote, acquire what the others did (as in Arc's own counter).
        if self.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.count();
            drop(self.room.lock().unwrap_or_else(PoisonError::into_inner).take());
            if let Some((known, place)) = &self.introduces {
                known.note(*place, self.failed() == 0);
            }
            self.complete.notify_one();
        }
    }

    fn failed(&self) -> u64 {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.by_side.iter().sum()
    }

    /// Why its record failed, if it is known that it did.
    pub(super) fn failure(&self) -> Option<KafkaError> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = failures.by_side.iter().any(|failed| *failed > 0);
        failed
            .then(|| KafkaError::MessageProduction(failures.code.unwrap_or(RDKafkaErrorCode::Fail)))
    }

    /// Waits for the last report, and says how many records were delivered.
    pub(crate) async fn outcome(&self) -> Result<u64, Undelivered> {
        while self.pending.load(Ordering::Acquire) > 0 {
            self.complete.notified().await;
        }
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let failed: u64 = failures.by_side.iter().sum();
        let sent: u64 = self.sent.iter().map(|sent| sent.load(Ordering::Relaxed)).sum();
        if failed == 0 {
            return Ok(sent);
        }
        Err(Undelivered {
            delivered: sent - failed,
            failed,
            timed_out: failures.timed_out == failed,
            records: failures.named.clone(),
        })
    }

    fn count(&self) {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        for side in Side::ALL {
            let failed = failures.by_side[side.index()];
            let delivered = self.sent[side.index()].load(Ordering::Relaxed) - failed;
            self.metrics.records(side, delivered, failed);
        }
        if let Some(first) = failures.named.first() {
            self.metrics.note_failure(first, &self.trace);
        }
    }
}

fn is_timeout(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::MessageTimedOut
                | Code::OperationTimedOut
                | Code::RequestTimedOut
                | Code::TimedOutQueue
        )
    )
}

/// The error without the wrapping that rdkafka puts around it.
fn words(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderMap;

    use super::*;
    use crate::capacity::Capacity;

    fn tally(capacity: &Capacity) -> Arc<DeliveryTally> {
        let metrics = ApiMetrics::register(
            &service::Context::new("test").metrics,
            &models::topics::Topics::default(),
        );
        let trace = Trace::of(&HeaderMap::new());
        DeliveryTally::new(capacity.take(3).unwrap(), metrics, Arc::new(trace))
    }

    fn failure(code: RDKafkaErrorCode) -> KafkaError {
        KafkaError::MessageProduction(code)
    }

    #[tokio::test]
    async fn the_outcome_comes_with_the_last_report() {
        let capacity = Capacity::new(3);
        let tally = tally(&capacity);
        for side in Side::ALL {
            tally.expect(side);
        }
        tally.settle();
        let reports = Arc::clone(&tally);
        let outcome = tally.outcome();
        tokio::pin!(outcome);
        for _ in 0..2 {
            reports.settle();
            let waiting = futures::poll!(&mut outcome);
            assert!(waiting.is_pending());
        }
        reports.settle();
        assert_eq!(outcome.await, Ok(3));
    }

    #[tokio::test]
    async fn a_request_without_records_is_complete_at_once() {
        let tally = tally(&Capacity::new(3));
        tally.settle();
        assert_eq!(tally.outcome().await, Ok(0));
    }

    #[tokio::test]
    async fn failures_are_counted_and_only_all_timed_out_is_a_time_out() {
        use RDKafkaErrorCode as Code;
        for (errors, timed_out) in [
            (vec![Code::MessageTimedOut; 2], true),
            (vec![Code::MessageTimedOut, Code::MessageSizeTooLarge], false),
        ] {
            let tally = tally(&Capacity::new(3));
            for side in Side::ALL {
                tally.expect(side);
            }
            for (side, error) in Side::ALL.into_iter().zip(errors) {
                tally.fail(side, "t1", "topic", &failure(error));
                tally.settle();
            }
            tally.settle();
            tally.settle();
            let undelivered = tally.outcome().await.unwrap_err();
            assert_eq!((undelivered.delivered, undelivered.failed), (1, 2));
            assert_eq!(undelivered.timed_out, timed_out);
            assert_eq!(undelivered.records[0].trip_id, "t1");
        }
    }

    #[tokio::test]
    async fn all_failures_are_counted_but_few_are_named() {
        let tally = tally(&Capacity::new(3));
        for i in 0..100 {
            tally.expect(Side::Trip);
            tally.fail(
                Side::Trip,
                &i.to_string(),
                "trips",
                &failure(RDKafkaErrorCode::MessageTimedOut),
            );
            tally.settle();
        }
        tally.settle();
        let undelivered = tally.outcome().await.unwrap_err();
        assert_eq!((undelivered.failed, undelivered.records.len()), (100, NAMED_FAILURES));
    }

    #[test]
    fn room_is_given_back_with_the_last_report_whether_the_request_is_gone_or_never_looks() {
        for is_gone in [true, false] {
            let capacity = Capacity::new(3);
            let tally = tally(&capacity);
            tally.expect(Side::Trip);
            let report = Arc::clone(&tally);
            tally.settle();
            let request = (!is_gone).then_some(tally);
            assert_eq!(capacity.in_flight(), 3);
            report.settle();
            assert_eq!(capacity.in_flight(), 0);
            drop(request);
        }
    }
}
