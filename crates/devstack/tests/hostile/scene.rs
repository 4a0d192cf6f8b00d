//! A dev stack under attack with a well-behaved bystander, and the checks at the end.

use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use devstack::{DevStack, Options};

use crate::bystander::Bystander;
use crate::wire::Client;

/// The memory limit of this process, with the stacks and clients of all tests, which may run in parallel. It takes
/// about 85 MB: a stack and its bystander take 15 MB, an idle connection about 20 kB. A length field alone takes
/// nothing.
const MOST_RESIDENT_KB: u64 = 256 << 10;

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts panics on threads of dev stacks, which Tokio catches.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = thread::current();
            let name = thread.name().unwrap_or_default();
            if ["devstack", "journal", "actix"].iter().any(|ours| name.starts_with(ours)) {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            usual(panic);
        }));
    });
}

pub(crate) struct Scene {
    pub(crate) stack: DevStack,
    bystander: Bystander,
}

impl Scene {
    pub(crate) fn open() -> Self {
        count_panics();
        let stack = DevStack::start(Options::default()).unwrap();
        let bystander = Bystander::start(&stack.bootstrap_servers());
        Self { stack, bystander }
    }

    pub(crate) fn broker(&self) -> String {
        self.stack.bootstrap_servers()
    }

    /// Checks that the stack runs, the bystander has all its records in order, nothing panicked, and memory was
    /// bounded.
    pub(crate) fn close(self) {
        let mut client = Client::connect(&self.broker());
        assert!(!client.served().is_empty());
        self.bystander.finish();
        assert_eq!(PANICS.load(Ordering::SeqCst), 0, "panics on threads of a dev stack");
        let most = most_resident_kb();
        assert!(most <= MOST_RESIDENT_KB, "{most} kB were resident");
    }
}

/// `VmHWM` of this process, or 0 on systems without it.
fn most_resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
