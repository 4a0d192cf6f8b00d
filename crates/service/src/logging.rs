//! The log: text for people, JSON lines for machines, always on standard error.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::time::ChronoLocal;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::ConfigError;
use crate::log_config::{LogConfig, LogFormat};
use crate::status::{self, AboveStatus};

/// Libraries that tell of each start and stop what a service says itself, and of each bad request that somebody sends,
/// as an error. Directives of `log.level` win.
const QUIET: &str = "actix_server=warn,actix_http=off";

/// Sends the events of this process to standard error as `config` says. A second call changes nothing.
///
/// # Errors
///
/// [`ConfigError::Invalid`] if the level can't be parsed.
pub(crate) fn init(config: &LogConfig) -> Result<(), ConfigError> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", config.level)).map_err(|err| {
        ConfigError::Invalid {
            key: "log.level".to_owned(),
            reason: format!("{:?} is neither a level nor tracing directives: {err}", config.level),
        }
    })?;
    let terminal = std::io::stderr().is_terminal();
    let json = match config.format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    status::set_live(terminal && !json);
    // `try_init` fails only when a subscriber is set already, as in tests that start several services.
    let _ = if json {
        json_lines(filter, || AboveStatus).try_init()
    } else {
        text_lines(filter, terminal, || AboveStatus).try_init()
    };
    Ok(())
}

/// A JSON object an event; `span` is the innermost one that it happened in, with its fields.
fn json_lines<W>(filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    builder.json().flatten_event(true).with_current_span(true).with_span_list(false).finish()
}

/// A line an event; the fields of the spans that it happened in come after its own.
fn text_lines<W>(filter: EnvFilter, colours: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let timer = ChronoLocal::new("%H:%M:%S%.3f".to_owned());
    builder.with_timer(timer).with_ansi(colours).with_target(false).compact().finish()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(event)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is written of an event within a request.
    fn logged<S: Subscriber + Send + Sync + 'static>(of: impl Fn(EnvFilter, Lines) -> S) -> String {
        let lines = Lines::default();
        let filter = EnvFilter::new(format!("{QUIET},info"));
        tracing::subscriber::with_default(of(filter, lines.clone()), || {
            let span = tracing::info_span!("request", request_id = "r-1", route = "/api/x");
            span.in_scope(|| tracing::info!(status = 502, "request failed"));
            tracing::error!(target: "actix_http::h1::dispatcher", "a bad request");
        });
        let lines = lines.0.lock().unwrap();
        String::from_utf8(lines.clone()).unwrap()
    }

    #[test]
    fn an_event_shows_the_request_that_it_happened_in() {
        let json = logged(|filter, lines| json_lines(filter, move || lines.clone()));
        let json: serde_json::Value = serde_json::from_str(&json).expect("one line of JSON");
        assert_eq!(json["message"], "request failed");
        assert_eq!(json["status"], 502);
        assert_eq!(json["span"]["request_id"], "r-1");
        assert_eq!(json["span"]["route"], "/api/x");

        let text = logged(|filter, lines| text_lines(filter, false, move || lines.clone()));
        let text = text.trim_end();
        let expected = "request: request failed status=502 request_id=\"r-1\" route=\"/api/x\"";
        assert!(text.ends_with(expected), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}
