//! The binary `lab`.

use std::process::ExitCode;

use lab::NAME;
use lab::cli::Cli;

/// As in the services, with whose speed `bench` compares what it does itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::read();
    let common = cli.common.clone();
    service::main(NAME, &common, &[], |settings, context| Cli::run(cli, settings, context))
}
