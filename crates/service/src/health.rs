//! What `/health/ready` answers: named checks that the service's own tasks keep current.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The checks of one service. Clones share them. Ready means: at least one check is known and none fails.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, Result<(), String>>>>);

impl Health {
    /// No check known: not ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records the latest outcome of the check `name`; an error says in words what is missing.
    /// Returns whether the outcome changed between working and failing, so that the caller can log it once.
    pub fn set(&self, name: &'static str, outcome: Result<(), String>) -> bool {
        let mut checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_ok = outcome.is_ok();
        let before = checks.insert(name, outcome);
        before.is_none_or(|before| before.is_ok() != is_ok)
    }

    /// Whether every check passes.
    pub fn is_ready(&self) -> bool {
        let checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !checks.is_empty() && checks.values().all(Result::is_ok)
    }

    /// Every check with its latest outcome, in the order of names.
    pub fn checks(&self) -> BTreeMap<&'static str, Result<(), String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_every_known_check_passes_and_one_is_known() {
        let health = Health::new();
        assert!(!health.is_ready());
        assert!(health.set("kafka", Ok(())));
        assert!(health.is_ready());
        assert!(health.set("registry", Err("refused".to_owned())));
        assert!(!health.is_ready());
        assert!(!health.set("registry", Err("timed out".to_owned())));
        assert!(health.set("registry", Ok(())));
        assert!(health.is_ready());
    }
}
