//! The binary `tripctl`.

use std::process::ExitCode;

use tripctl::NAME;
use tripctl::cli::Cli;

/// As in the services, with whose speed `bench` compares what it does itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::read();
    let common = cli.common.clone();
    service::main(NAME, &common, &[], |settings, context| Cli::run(cli, settings, context))
}
