//! Faults that a test injects: delays, lost answers, errors, crashes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::ApiKey;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// What happens to the request that triggers a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// The request waits this long before it is handled.
    Delay(Duration),
    /// The request waits until the faults are cleared.
    Hold,
    /// The connection is closed before the request is handled.
    Disconnect,
    /// The request is answered with this error and not handled.
    Error(ResponseError),
    /// A Fetch is answered as if each log ended at this offset. Other requests are handled as usual.
    EndAt(i64),
    /// The request is handled and durable, but the connection is closed instead of an answer.
    LoseAnswer,
    /// The broker crashes before the request is handled, and restarts after this time.
    CrashBefore { back_after: Duration },
    /// The request is handled and durable, but the broker crashes instead of an answer. It restarts after this time.
    CrashAfter { back_after: Duration },
}

/// One thing that goes wrong, for [`DevStack::inject`](crate::DevStack::inject).
///
/// By default the next request triggers it, once. [`of`](Self::of) and [`from_client`](Self::from_client) restrict it
/// to some requests, [`after`](Self::after) skips requests, and [`times`](Self::times) repeats it.
///
/// ```
/// use devstack::{ApiKey, Fault};
///
/// // The answer to the third commit from now on is lost.
/// let fault = Fault::lose_answer().of(ApiKey::EndTxn).after(2);
/// ```
#[derive(Debug, Clone)]
pub struct Fault {
    api: Option<ApiKey>,
    client_id: Option<String>,
    pass: u64,
    times: u64,
    pub(crate) action: Action,
}

impl Fault {
    fn new(action: Action) -> Self {
        Self { api: None, client_id: None, pass: 0, times: 1, action }
    }

    /// The request waits for `delay` before it is handled. Later requests of its connection wait behind it.
    pub fn delay(delay: Duration) -> Self {
        Self::new(Action::Delay(delay))
    }

    /// The request waits until [`DevStack::clear_faults`](crate::DevStack::clear_faults) is called. Later requests of
    /// its connection wait behind it.
    pub fn hold() -> Self {
        Self::new(Action::Hold)
    }

    /// The connection is closed, and the request is not handled.
    pub fn disconnect() -> Self {
        Self::new(Action::Disconnect)
    }

    /// The request is answered with an error and not handled. Only for the APIs that `api/refusal.rs` lists: for any
    /// other the connection is closed.
    pub fn error(error: ResponseError) -> Self {
        Self::new(Action::Error(error))
    }

    /// A Fetch is answered by a replica that is behind, such as a follower or a new leader: the answer's records, high
    /// watermark and last stable offset end at `end`, if the log goes further. A client at `end` takes that for the end
    /// of the partition. `end` must be where a batch begins; batches that reach beyond it are left out.
    ///
    /// ```
    /// use devstack::Fault;
    ///
    /// // The first answer has the records before offset 10, the second says that nothing follows.
    /// let fault = Fault::replica_behind(10).times(2);
    /// ```
    pub fn replica_behind(end: i64) -> Self {
        Self::new(Action::EndAt(end)).of(ApiKey::Fetch)
    }

    /// The request is handled and durable, but the connection is closed instead of an answer.
    pub fn lose_answer() -> Self {
        Self::new(Action::LoseAnswer)
    }

    /// The broker crashes before the request is handled, and restarts on its port after `back_after`.
    pub fn crash_before(back_after: Duration) -> Self {
        Self::new(Action::CrashBefore { back_after })
    }

    /// The request is handled and durable, but the broker crashes instead of an answer. It restarts on its port after
    /// `back_after`.
    pub fn crash_after(back_after: Duration) -> Self {
        Self::new(Action::CrashAfter { back_after })
    }

    /// Only requests of this API trigger the fault.
    #[must_use]
    pub fn of(mut self, api: ApiKey) -> Self {
        self.api = Some(api);
        self
    }

    /// Only requests of clients whose `client.id` begins with `client_id` trigger the fault.
    #[must_use]
    pub fn from_client(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// Skips the first `requests` requests that would trigger the fault.
    #[must_use]
    pub fn after(mut self, requests: u64) -> Self {
        self.pass = requests;
        self
    }

    /// The fault occurs for `requests` requests, not just for one.
    #[must_use]
    pub fn times(mut self, requests: u64) -> Self {
        self.times = requests;
        self
    }

    fn meets(&self, api: ApiKey, client_id: &str) -> bool {
        self.api.is_none_or(|wanted| wanted == api)
            && self.client_id.as_ref().is_none_or(|wanted| client_id.starts_with(wanted.as_str()))
    }
}

/// The faults that have not occurred yet. A crash of the broker does not remove them.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    to_come: Mutex<Vec<Fault>>,
    cleared: Notify,
}

impl Faults {
    /// Adds a fault.
    pub(crate) fn inject(&self, fault: Fault) {
        if fault.times > 0 {
            self.lock().push(fault);
        }
    }

    /// Removes all faults, and lets held requests continue.
    pub(crate) fn clear(&self) {
        self.lock().clear();
        self.cleared.notify_waiters();
    }

    /// Waits until [`clear`](Self::clear) is called. Calls count from now on, even before the first poll.
    pub(crate) fn cleared(&self) -> Notified<'_> {
        self.cleared.notified()
    }

    /// The number of faults that have not occurred yet.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// What is to happen to this request. It counts for every fault that it matches, and triggers the first that has
    /// skipped enough requests.
    pub(crate) fn meet(&self, api: ApiKey, client_id: &str) -> Option<Action> {
        let mut faults = self.lock();
        let mut action = None;
        for fault in faults.iter_mut().filter(|fault| fault.meets(api, client_id)) {
            if fault.pass > 0 {
                fault.pass -= 1;
            } else if action.is_none() {
                fault.times -= 1;
                action = Some(fault.action);
            }
        }
        faults.retain(|fault| fault.times > 0);
        action
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        self.to_come.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meetings(fault: Fault, requests: &[(ApiKey, &str)]) -> Vec<bool> {
        let faults = Faults::default();
        faults.inject(fault);
        requests.iter().map(|(api, client)| faults.meet(*api, client).is_some()).collect()
    }

    #[test]
    fn a_fault_meets_the_requests_that_it_is_for() {
        use ApiKey::{EndTxn, Fetch, Produce};
        let requests =
            [(Produce, "a-1"), (Fetch, "b"), (Produce, "b"), (EndTxn, "a-2"), (Produce, "a-3")];
        let fault = Fault::disconnect;
        for (fault, expected) in [
            (fault(), [true, false, false, false, false]),
            (fault().of(Produce), [true, false, false, false, false]),
            (fault().of(Produce).after(1), [false, false, true, false, false]),
            (fault().of(EndTxn).times(2), [false, false, false, true, false]),
            (fault().times(3), [true, true, true, false, false]),
            (fault().times(0), [false; 5]),
            (fault().from_client("a-").after(1).times(2), [false, false, false, true, true]),
            (fault().of(Produce).from_client("b"), [false, false, true, false, false]),
        ] {
            assert_eq!(meetings(fault.clone(), &requests), expected, "{fault:?}");
        }
    }

    #[test]
    fn one_request_meets_one_fault_at_most() {
        let faults = Faults::default();
        faults.inject(Fault::disconnect());
        faults.inject(Fault::lose_answer());
        let meet = || faults.meet(ApiKey::Fetch, "");
        assert_eq!(meet(), Some(Action::Disconnect));
        assert_eq!(meet(), Some(Action::LoseAnswer));
        assert_eq!((meet(), faults.len()), (None, 0));
    }
}
