//! The joiners, the broker, and what is done to them.

use std::time::Duration;

use devstack::{ApiKey, DevStack, Fault};
use joiner::JoinerConfig;

use crate::harness::process::{Logs, Process};
use crate::plan::{Event, Slow, TakeOver, Trouble};

const NAMES: [&str; 2] = ["first", "second"];
/// What their clients' names begin with, so that nobody else meets their faults.
const CLIENT: &str = "chaos-joiner";

/// Two joiners, of which the second need not be there.
pub struct Crew<'s> {
    stack: &'s DevStack,
    configs: [JoinerConfig; 2],
    logs: &'s mut Logs,
    joiners: [Option<Process>; 2],
}

impl<'s> Crew<'s> {
    /// Starts the first.
    pub fn start(
        stack: &'s DevStack,
        config: &JoinerConfig,
        logs: &'s mut Logs,
        nameless: bool,
    ) -> Self {
        let configs = NAMES.map(|name| {
            let mut config = config.clone();
            config.joiner.instance_id = (!nameless).then(|| name.to_owned());
            config.kafka.client_id = client(name);
            config
        });
        let mut crew = Self { stack, configs, logs, joiners: [None, None] };
        crew.start_joiner(0);
        crew
    }

    fn start_joiner(&mut self, joiner: usize) {
        self.joiners[joiner] = Some(Process::start(&self.configs[joiner], self.logs));
    }

    fn kill(&mut self, joiner: usize) {
        self.joiners[joiner].take().expect("the plan knows who is there").kill();
    }

    fn group(&self) -> &str {
        &self.configs[0].joiner.group_id
    }

    fn transactional_id(&self, joiner: usize) -> String {
        format!("{}-{}", self.configs[joiner].joiner.transactional_id, NAMES[joiner])
    }

    /// Lets it go wrong.
    pub async fn suffer(&mut self, event: Event) {
        match event {
            Event::Request { api, trouble, pass, times } => {
                let fault = match trouble {
                    Trouble::Delay(delay) => Fault::delay(delay),
                    Trouble::Disconnect => Fault::disconnect(),
                    Trouble::LoseAnswer => Fault::lose_answer(),
                    Trouble::CrashBefore { back_after } => Fault::crash_before(back_after),
                    Trouble::CrashAfter { back_after } => Fault::crash_after(back_after),
                    Trouble::Error(error) => Fault::error(error),
                };
                self.stack.inject(fault.of(api).from_client(CLIENT).after(pass).times(times));
            }
            Event::BrokerDown(time) => {
                self.stack.crash();
                tokio::time::sleep(time).await;
                self.stack.restart();
            }
            Event::KillAndRestart { joiner, after } => {
                self.kill(joiner);
                tokio::time::sleep(after).await;
                self.start_joiner(joiner);
            }
            Event::Zombie { joiner, lasts } => {
                let process = self.joiners[joiner].as_ref().expect("the plan knows who is there");
                process.pause();
                self.stack.expire_sessions(self.group());
                tokio::time::sleep(lasts).await;
                process.resume();
            }
            Event::SessionsExpire => {
                self.stack.expire_sessions(self.group());
            }
            Event::TransactionTimesOut { joiner } => {
                self.stack.time_out_transaction(&self.transactional_id(joiner));
            }
            Event::SecondComes => self.start_joiner(1),
            Event::SecondGoes => self.stop_second().await,
            Event::SecondIsKilled { cleared_after } => {
                self.kill(1);
                tokio::time::sleep(cleared_after).await;
                self.clear_up_after_second();
            }
        }
    }

    /// The next such request of the joiner is slow.
    pub fn slow_down(&self, TakeOver { joiner, slow, takes }: TakeOver) {
        let api = match slow {
            Slow::EndOfTransaction => ApiKey::EndTxn,
            Slow::Production => ApiKey::Produce,
        };
        self.stack.inject(Fault::delay(takes).of(api).from_client(client(NAMES[joiner])));
    }

    /// The group goes on without the joiner that is slow with the rows just written, and then that goes on.
    pub async fn take_over(&self, TakeOver { takes, .. }: TakeOver) {
        // By now it has met what makes it slow, if it has got any of the rows.
        tokio::time::sleep(2 * COMMIT_INTERVAL).await;
        self.stack.expire_sessions(self.group());
        tokio::time::sleep(takes).await;
    }

    /// All is well from now on, and one joiner is there. Returns how many faults were still to come.
    pub async fn settle(&mut self) -> usize {
        let unmet = self.stack.clear_faults();
        // Nothing happens if it is not down.
        self.stack.restart();
        if self.joiners[1].is_some() {
            self.stop_second().await;
        }
        unmet
    }

    /// Stops the last joiner in peace.
    pub async fn end(mut self) -> Result<(), String> {
        let joiner = self.joiners[0].take().expect("it was never taken away for long");
        let status = joiner.stop().await;
        if status.success() { Ok(()) } else { Err(format!("the joiner's end: {status}")) }
    }

    /// Where it is cut off by a fault, it may have to leave something open.
    async fn stop_second(&mut self) {
        self.joiners[1].take().expect("the plan knows who is there").stop().await;
        self.clear_up_after_second();
    }

    /// What the broker does in a minute if nobody comes back under the name. Nobody could for a nameless one, and the
    /// broker ends its transaction soon by itself.
    fn clear_up_after_second(&self) {
        // A moment for a broker that a fault has just taken down: both are lost on one that is not there.
        self.stack.restart();
        self.stack.time_out_transaction(&self.transactional_id(1));
        self.stack.expire_sessions(self.group());
    }
}

fn client(joiner: &str) -> String {
    format!("{CLIENT}-{joiner}")
}

/// How the joiners' clients are set up: what happens to them is noticed soon.
pub fn properties(nameless: bool) -> impl Iterator<Item = (&'static str, &'static str)> {
    let usual = [
        ("session.timeout.ms", "1500"),
        ("heartbeat.interval.ms", "150"),
        ("reconnect.backoff.max.ms", "200"),
    ];
    let short = [
        ("queue.buffering.max.messages", "2"),
        ("linger.ms", "0"),
        // Nobody comes back to end what was left open. Longer than anything is slow here.
        ("transaction.timeout.ms", "6000"),
    ];
    usual.into_iter().chain(short.into_iter().filter(move |_| nameless))
}

/// The shortest time in which a joiner commits.
pub const COMMIT_INTERVAL: Duration = Duration::from_millis(20);
