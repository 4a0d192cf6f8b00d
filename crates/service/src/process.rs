//! The life of a process: configure, listen, run, drain, say how it went.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use crate::config::{self, ConfigError, Loaded, Override, Settings};
use crate::{CommonArgs, Context, ShutdownConfig, admin, logging};

/// The service did its work and ended as asked.
const SUCCESS: u8 = 0;
/// The service failed; the last line says why.
const FAILURE: u8 = 1;
/// The configuration or the command line can't be used; the same status that clap uses.
const USAGE: u8 = 2;
/// Stopped at once by a second signal, as a shell reports SIGINT: 128 + 2.
const INTERRUPTED: i32 = 130;

/// A signal this soon after the first one is the same wish.
const ECHO: Duration = Duration::from_millis(100);

/// Runs the service `name` and returns the status for `main`: 0 done, 1 failed, 2 configuration or usage.
///
/// Loads the settings (or prints them, if asked), starts the log, takes the admin address, then runs `run` on a
/// multi-threaded runtime. The first SIGINT or SIGTERM triggers [`Context::shutdown`] and starts the drain's deadline;
/// a second one ends the process at once with status 130. `flags` are keys set by the binary's own flags.
pub fn main<S, F>(
    name: &'static str,
    args: &CommonArgs,
    flags: &[Override],
    run: impl FnOnce(S, Context) -> F,
) -> ExitCode
where
    S: Settings,
    F: Future<Output = anyhow::Result<()>>,
{
    let Loaded { settings, files, warnings } = match config::load::<S>(args, flags) {
        Ok(loaded) => loaded,
        Err(err) => return usage(name, &err),
    };
    if args.print_config {
        return print_config(name, &settings);
    }
    if let Err(err) = logging::init(settings.log()) {
        return usage(name, &err);
    }
    let files: Vec<_> = files.iter().map(|path| path.display().to_string()).collect();
    let files = if files.is_empty() { "built-in defaults".to_owned() } else { files.join(", ") };
    tracing::debug!(%files, "configuration read");
    for warning in warnings {
        warn!("{warning}");
    }

    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(err) => {
            error!("{name} failed: cannot start the async runtime: {err}");
            return ExitCode::from(FAILURE);
        }
    };
    let outcome = runtime.block_on(supervise(name, args.ports_file.clone(), settings, run));
    // Threads that still block (a Kafka call, a name look-up) must not hold up the end.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::from(SUCCESS),
        Err(err) => {
            error!("{name} failed: {err:#}");
            ExitCode::from(FAILURE)
        }
    }
}

/// Runs service, admin server and signal handling beside each other. The first failure stops all of them.
async fn supervise<S, F>(
    name: &'static str,
    ports_file: Option<PathBuf>,
    settings: S,
    run: impl FnOnce(S, Context) -> F,
) -> anyhow::Result<()>
where
    S: Settings,
    F: Future<Output = anyhow::Result<()>>,
{
    let ctx = Context::new(name).with_ports_file(ports_file);
    let shutdown_config = settings.shutdown().clone();
    let listener = settings.admin().map(admin::bind).transpose()?;
    watch_signals(ctx.clone()).context("cannot listen for signals")?;
    if let Some(listener) = &listener {
        ctx.listens_on(listener.local_addr()?)?;
    }

    let admin = async {
        match listener {
            Some(listener) => {
                if let Ok(addr) = listener.local_addr() {
                    info!("health and metrics on http://{addr}");
                }
                admin::serve(listener, ctx.clone()).await
            }
            None => std::future::pending().await,
        }
    };
    let service = run(settings, ctx.clone());
    tokio::pin!(admin, service);

    tokio::select! {
        outcome = &mut service => outcome,
        outcome = &mut admin => {
            ctx.shutdown.trigger();
            let failure = match outcome {
                Ok(()) => anyhow!("the health server ended by itself"),
                Err(err) => anyhow!(err).context("the health server failed"),
            };
            if let Err(err) = drain(service, &shutdown_config).await {
                warn!("while stopping: {err:#}");
            }
            Err(failure)
        }
        () = ctx.shutdown.wait() => {
            // The admin server stays up, so that readiness says "stopping" until the end.
            tokio::select! {
                outcome = drain(&mut service, &shutdown_config) => outcome,
                outcome = &mut admin => outcome.context("the health server failed while stopping"),
            }
        }
    }
}

/// Waits for the service to finish, but not longer than the deadline.
async fn drain(
    service: impl Future<Output = anyhow::Result<()>>,
    config: &ShutdownConfig,
) -> anyhow::Result<()> {
    tokio::time::timeout(config.timeout, service).await.unwrap_or_else(|_| {
        Err(anyhow!(
            "still busy {} after being asked to stop; cut off (shutdown.timeout)",
            humantime::format_duration(config.timeout)
        ))
    })
}

/// The first signal asks for shutdown, the second ends the process.
fn watch_signals(ctx: Context) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        let which = either(&mut interrupt, &mut terminate).await;
        info!("{which}: finishing what is under way; once more stops at once");
        ctx.shutdown.trigger();
        // `timeout` and some shells signal a process both by itself and as one of its group: that is one wish.
        let echo_ends = tokio::time::Instant::now() + ECHO;
        let which = loop {
            let which = either(&mut interrupt, &mut terminate).await;
            if tokio::time::Instant::now() >= echo_ends {
                break which;
            }
        };
        warn!("{which} again: stopped at once");
        std::process::exit(INTERRUPTED);
    });
    Ok(())
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) -> &'static str {
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the log is not set up yet: its settings are what can't be read"
)]
fn usage(name: &str, err: &ConfigError) -> ExitCode {
    eprintln!("{name}: {err}");
    ExitCode::from(USAGE)
}

#[expect(clippy::print_stdout, reason = "the configuration is what was asked for")]
fn print_config<S: Settings>(name: &str, settings: &S) -> ExitCode {
    match config::render(settings) {
        Ok(text) => {
            print!("{text}");
            ExitCode::from(SUCCESS)
        }
        Err(err) => usage(name, &err),
    }
}
