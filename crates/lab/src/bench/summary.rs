//! `lab bench all`: the API and the joiner side by side.

use std::fmt::Write as _;

use serde::Serialize;

use super::table::{MISSING, line, megabytes, seconds};
use super::{Usage, joiner, producer};
use crate::number::thousands;

/// The results of both.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Of the API.
    pub producer: producer::Report,
    /// Of the joiner.
    pub joiner: joiner::Report,
}

impl Summary {
    /// One table of all, and under what circumstances it holds.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let names = ["trips", "of the", "p50", "p99", "CPU", "memory"];
        line(&mut text, "", names.map(str::to_owned));
        line(&mut text, "", ["/s", "limit", "ms", "ms", "s", "peak MB"].map(str::to_owned));
        let limit = self.producer.limit;
        let last = self.producer.loads.len().saturating_sub(1);
        for (index, load) in self.producer.loads.iter().enumerate() {
            // One trip a request is about time, not about what goes through.
            let part = self.producer.ratio.filter(|_| index == last);
            let usage = Usage { cpu_s: load.cpu_s, peak_memory_bytes: load.peak_memory_bytes };
            let latency = [load.latency_ms.p50, load.latency_ms.p99];
            let latency = latency.map(|ms| format!("{ms:.2}"));
            let name = format!("API: {}", load.load);
            row(&mut text, &name, Some(load.trips_per_s), part, latency, usage);
        }
        if let Some(limit) = limit {
            let usage = Usage { cpu_s: limit.cpu_s, peak_memory_bytes: limit.peak_memory_bytes };
            row(&mut text, "raw limit of the API", Some(limit.trips_per_s), None, none(), usage);
        }
        let joiner::Report { joiner, limits, ratio, trips, .. } = &self.joiner;
        row(&mut text, "joiner", joiner.rates.steady, *ratio, none(), joiner.usage);
        for (name, limit) in
            ["pass-through before", "and after"].iter().zip(limits.iter().flatten())
        {
            row(&mut text, name, limit.rates.steady, None, none(), limit.usage);
        }
        let producer::Machine { cores, optimized, kafka, .. } = &self.producer.machine;
        let _ = writeln!(
            text,
            "\nThe API for some seconds each, the joiner from 10 % to 90 % of {} trips; {cores} cores; Kafka at {kafka}",
            thousands(*trips as f64),
        );
        text.push_str(producer::report::CLOSED_LOOP);
        if !optimized {
            text.push_str("Built without optimisation: the figures say nothing about speed.\n");
        }
        text
    }

    /// All figures as one JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("numbers and texts have a JSON form")
    }
}

/// The joiner has no latency of its own here: all rows are there before it starts.
fn none() -> [String; 2] {
    Default::default()
}

fn row(
    text: &mut String,
    name: &str,
    trips_per_s: Option<f64>,
    part: Option<f64>,
    [p50, p99]: [String; 2],
    usage: Usage,
) {
    let rate = trips_per_s.map_or_else(|| MISSING.to_owned(), thousands);
    let part = part.map(|part| format!("{part:.2}")).unwrap_or_default();
    let (cpu, memory) = (seconds(usage.cpu_s), megabytes(usage.peak_memory_bytes));
    line(text, name, [rate, part, p50, p99, cpu, memory]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_all_that_was_measured() {
        let producer = producer::report::tests::report(true);
        let joiner = joiner::report::tests::report(None);
        insta::assert_snapshot!(Summary { producer, joiner }.to_text());
    }
}
