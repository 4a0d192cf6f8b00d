//! The binary `tripctl`.

use std::process::ExitCode;

use tripctl::NAME;
use tripctl::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::read();
    let common = cli.common.clone();
    service::main(NAME, &common, &[], |settings, context| Cli::run(cli, settings, context))
}
