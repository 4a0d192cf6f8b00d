//! `devstack`: a Kafka broker and a schema registry for development, in one process and one file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Parser;
use devstack::{DevStack, HostPort, Options};
use serde::{Deserialize, Serialize};
use service::{CommonArgs, Context, LogConfig, PortsFile, Settings, ShutdownConfig};
use tracing::info;

/// A single-node Kafka broker and a schema registry for development and tests, in one process.
///
/// Kafka clients and registry clients find in it what they find in Apache Kafka and Confluent's registry, but it keeps
/// one copy of everything, asks nobody who they are, and is made for one machine. Everything is in one SQLite file, which
/// survives being killed at any moment. Stops on SIGINT or SIGTERM.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Args {
    /// Where the broker listens; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9092")]
    listen: SocketAddr,

    /// The address that the broker tells its clients, where they reach it through a forwarded port or a proxy; by
    /// default the one that each client has connected to
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<HostPort>,

    /// Where the registry listens; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8081")]
    registry_listen: SocketAddr,

    /// Directory of the file that holds everything; made if absent
    #[arg(long, value_name = "DIR", default_value = ".run/devstack", conflicts_with = "in_memory")]
    data_dir: PathBuf,

    /// Keep everything in memory: all is gone at the end
    #[arg(long)]
    in_memory: bool,

    /// Don't create topics just because a client asks for them
    #[arg(long)]
    no_auto_create: bool,

    /// Partitions of topics whose creator doesn't say how many
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    partitions: i32,

    /// Listen on an address that other machines reach: anyone there can read and change everything
    #[arg(long)]
    i_know_this_is_for_development: bool,

    #[command(flatten)]
    common: CommonArgs,
}

const EXAMPLES: &str = "\
Examples:
  devstack                                    on localhost:9092 and :8081, data in .run/devstack
  devstack --in-memory                        the same, forgetting all at the end
  devstack --advertise localhost:19092        for clients that come through a forwarded port 19092
  devstack --listen 127.0.0.1:0 --registry-listen 127.0.0.1:0 --ports-file ports.json";

/// The sections that it reads.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    log: LogConfig,
    shutdown: ShutdownConfig,
}

impl Settings for Config {
    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn shutdown(&self) -> &ShutdownConfig {
        &self.shutdown
    }
}

/// What `--ports-file` gets.
#[derive(Serialize)]
struct Ports {
    kafka: String,
    registry: String,
}

async fn run(args: Args, context: Context) -> anyhow::Result<()> {
    for addr in [args.listen, args.registry_listen] {
        if !addr.ip().is_loopback() && !args.i_know_this_is_for_development {
            bail!(
                "{addr} can be reached from other machines, and the dev stack lets anyone read and change everything: \
                 use an address such as 127.0.0.1, or add --i-know-this-is-for-development"
            );
        }
    }
    let data_dir = (!args.in_memory).then_some(args.data_dir);
    let file = data_dir.as_ref().map(|dir| DevStack::file_in(dir));
    let stack = DevStack::start(Options {
        data_dir,
        kafka: args.listen,
        registry: args.registry_listen,
        auto_create_topics: !args.no_auto_create,
        default_partitions: args.partitions,
        advertise: args.advertise,
    })?;
    let (kafka, registry) = (stack.bootstrap_servers(), stack.registry_url());
    let data = file.map_or_else(|| "in memory".to_owned(), |file| format!("in {}", file.display()));
    info!(
        "dev stack, for development and tests only: Kafka on {kafka}, registry on {registry}, data {data}"
    );
    let ports_file = args
        .common
        .ports_file
        .as_ref()
        .map(|path| PortsFile::write(path, &Ports { kafka, registry }));
    let ports_file = ports_file.transpose()?;
    tokio::select! {
        () = context.shutdown.wait() => {}
        reason = stack.failed() => bail!("the data can't be written any more: {reason}"),
    }
    stack.stop();
    drop(ports_file);
    info!("stopped");
    Ok(())
}

fn main() -> ExitCode {
    let args = Args::parse();
    let common = args.common.clone();
    service::main("devstack", &common, &[], |_: Config, context| run(args, context))
}
