//! Trips a second on one core: `cargo run --release -p generator --example speed`.
#![allow(clippy::print_stdout, reason = "what this prints is what it is for")]
#![allow(clippy::disallowed_methods, reason = "the generator reads no clock, its measurement must")]

use std::hint::black_box;
use std::time::Instant;

use chrono::DateTime;
use generator::Generator;

const TRIPS: u32 = 1_000_000;

fn main() {
    let generator = Generator::new(1);
    let completion = DateTime::from_timestamp(1_795_348_800, 0).expect("a time of this century");
    let start = Instant::now();
    for index in 0..TRIPS {
        black_box(generator.complete_trip(index.into(), completion));
    }
    println!("{:.0} trips/s", f64::from(TRIPS) / start.elapsed().as_secs_f64());
}
