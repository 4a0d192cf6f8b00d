//! Measures the dev stack, and Apache Kafka beside it if there is one: `make bench-devstack`.
//!
//! Measures, one after the other and with the same client (librdkafka), the dev stack in memory, the dev stack with a
//! file, and the broker that `TRIPSTREAM_TEST_BOOTSTRAP` names, if it does. Compare figures of one run only.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program to look at figures with"
)]

mod broker;
mod measure;

use broker::Broker;
use measure::Figures;

/// A line of the table.
type Row = (&'static str, fn(&Figures) -> String);

const ROWS: [Row; 7] = [
    ("produce, 150 B records/s", |f| format!("{:.0}", f.produced_per_second)),
    ("consume, 150 B records/s", |f| format!("{:.0}", f.consumed_per_second)),
    ("produce to consume, p50 ms", |f| format!("{:.2}", f.latency_p50_ms)),
    ("produce to consume, p99 ms", |f| format!("{:.2}", f.latency_p99_ms)),
    ("transactions/s, 1 record each", |f| format!("{:.0}", f.transactions_per_second)),
    ("start to first answer, ms", |f| optional(f.start_ms)),
    ("resident memory idle, MB", |f| optional(f.idle_mb)),
];

fn main() {
    let mut columns = Vec::new();
    for (name, broker) in [
        ("in memory", Some(Broker::dev_stack(false))),
        ("durable", Some(Broker::dev_stack(true))),
        ("Apache Kafka", Broker::of_environment()),
    ] {
        if let Some(broker) = broker {
            eprintln!("measuring: {name}");
            columns.push((name, Figures::of(&broker)));
        }
    }
    print!("{:34}", "");
    for (name, _) in &columns {
        print!("{name:>16}");
    }
    println!();
    for (what, figure) in ROWS {
        print!("{what:34}");
        for (_, figures) in &columns {
            print!("{:>16}", figure(figures));
        }
        println!();
    }
}

fn optional(figure: Option<f64>) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.1}"))
}
