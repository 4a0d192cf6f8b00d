//! Rules 4, 6 and 8: the watermark, found anew from everything that is known, in every call.

use models::Side;

use super::Rules;

#[derive(Debug, Clone)]
pub(super) struct Input {
    pub(super) side: Side,
    pub(super) partition: i32,
    /// Its largest timestamp less the grace.
    pub(super) watermark: Option<i64>,
    pub(super) at_end: bool,
    pub(super) quiet_since: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    pub(super) watermark: Option<i64>,
    pub(super) idle_since: Option<i64>,
}

#[derive(Debug, Clone)]
pub(super) struct Time {
    pub(super) inputs: Vec<Input>,
    /// What the other tasks said last; none of one that said nothing.
    pub(super) others: Vec<(i32, Option<Heard>)>,
    pub(super) repartition_at_end: bool,
    pub(super) watermark: Option<i64>,
    /// The watermark of the first row since the task came up.
    pub(super) first: Option<i64>,
    pub(super) now: Option<i64>,
    /// From when on idle time counts at all.
    pub(super) started: i64,
    /// While nothing counts: from when on, and from which event time, it runs with the wall clock.
    running: Option<(i64, Option<i64>)>,
}

impl Time {
    pub(super) fn new(inputs: Vec<Input>, others: Vec<(i32, Option<Heard>)>) -> Self {
        Self {
            inputs,
            others,
            repartition_at_end: false,
            watermark: None,
            first: None,
            now: None,
            started: 0,
            running: None,
        }
    }

    pub(super) fn input(&mut self, side: Side, partition: i32) -> &mut Input {
        let found = |input: &&mut Input| input.side == side && input.partition == partition;
        self.inputs.iter_mut().find(found).unwrap()
    }

    fn idle_from(input: &Input, idle: i64) -> Option<i64> {
        input.quiet_since.filter(|_| input.at_end).map(|since| since + idle)
    }

    fn is_idle(&self, input: &Input, idle: i64) -> bool {
        Self::idle_from(input, idle).is_some_and(|from| from <= self.now.unwrap_or(i64::MIN))
    }

    /// What the other tasks are told.
    pub(super) fn inputs_watermark(&self, rules: &Rules) -> (Option<i64>, bool) {
        let counting = self.inputs.iter().filter(|input| !self.is_idle(input, rules.idle));
        match counting.map(|input| input.watermark).min() {
            Some(least) => (least, false),
            None => (self.inputs.iter().filter_map(|input| input.watermark).max(), true),
        }
    }

    /// The wall clock goes on to `now`, unless it goes back.
    pub(super) fn pass(&mut self, now: i64, rules: &Rules) {
        if self.now.is_none() {
            self.started = now;
        }
        self.now = self.now.max(Some(now));
        self.look(rules);
    }

    /// Finds the watermark as of now.
    pub(super) fn look(&mut self, rules: &Rules) {
        let now = self.now.unwrap();
        let heard = self.others.iter().filter_map(|(_, heard)| *heard);
        let known = self
            .inputs
            .iter()
            .map(|input| input.watermark)
            .chain(heard.clone().map(|it| it.watermark));
        let active = self.inputs.iter().filter(|input| !self.is_idle(input, rules.idle));
        let counting = active.map(|input| input.watermark).chain(self.others.iter().filter_map(
            |(_, heard)| match heard {
                None => Some(None),
                Some(heard) if heard.idle_since.is_none() => Some(heard.watermark),
                Some(_) => None,
            },
        ));
        let reached = if let Some(least) = counting.min() {
            self.running = None;
            least
        } else if self.repartition_at_end || self.others.is_empty() {
            let idle = self.inputs.iter().filter_map(|input| Self::idle_from(input, rules.idle));
            let last = idle.chain(heard.filter_map(|heard| heard.idle_since)).max();
            let since = last.unwrap_or(self.started).max(self.started);
            let largest = known.chain([self.watermark]).max().flatten();
            let (since, base) = *self.running.get_or_insert((since, largest));
            base.map(|base| (base + (now - since).max(0)).min(now - rules.grace - rules.idle))
        } else {
            None
        };
        self.watermark = self.watermark.max(reached);
    }

    /// Idle times count from now on.
    pub(super) fn restart_idle(&mut self, now: i64) {
        let now = self.now.map_or(now, |before| before.max(now));
        self.now = Some(now);
        self.started = now;
        self.running = None;
        for input in &mut self.inputs {
            input.quiet_since = input.quiet_since.map(|_| now);
        }
    }

    /// A new process knows the watermarks, and nothing of the wall clock, of ends, and of how long it was quiet.
    pub(super) fn come_up_again(&mut self) {
        self.now = None;
        self.running = None;
        self.first = None;
        self.repartition_at_end = false;
        for input in &mut self.inputs {
            input.at_end = false;
            input.quiet_since = None;
        }
        for (_, heard) in &mut self.others {
            *heard = heard
                .map(|heard| Heard { idle_since: heard.idle_since.map(|_| i64::MIN), ..heard });
        }
    }
}
