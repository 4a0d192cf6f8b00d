//! The binary `producer-api`.

use std::process::ExitCode;

use clap::Parser;
use producer_api::{NAME, run};
use service::{CommonArgs, Override};

/// Records are made by one thread and freed by another, in our own code and in librdkafka.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Makes trips on request over HTTP and writes their records to Kafka.
///
/// An answer 200 means that Kafka has acknowledged every record in it. Ends with status 0 if every record was seen
/// through, 1 if the service failed or left records undecided, 2 if the configuration can't be used.
#[derive(Parser)]
#[command(name = NAME, version, after_help = "\
Examples:
  producer-api                                     serve on 127.0.0.1:8001, Kafka on localhost:9092
  producer-api --listen 0.0.0.0:8001 --seed 42     for other machines, the same trips each time
  producer-api --set kafka.bootstrap_servers=broker:9092 --set registry.url=http://registry:8081
  curl -X POST localhost:8001/api/generate-complete-trip
  curl localhost:8001/api/generate-multiple-trips --json '{\"number_of_trips\": 3}'")]
struct Args {
    /// Where to serve the API [producer.listen]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Make the same trips as another run with this seed [producer.seed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    common: CommonArgs,
}

impl Args {
    /// The keys that the flags set.
    fn overrides(&self) -> Vec<Override> {
        let keys = [
            ("producer.listen", self.listen.clone()),
            ("producer.seed", self.seed.map(|seed| seed.to_string())),
        ];
        keys.into_iter().filter_map(|(key, value)| Some((key.into(), value?))).collect()
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    service::main(NAME, &args.common, &args.overrides(), run)
}
