//! Log lines on stdout: JSON for machines, plain text for people.

use std::error::Error;
use std::io::{self, IsTerminal};

use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use crate::json::JsonLines;
use crate::log_queue::{LogGuard, LogWriter};
use crate::server_warnings::{self, Noticing};

pub use crate::log_queue::LogCounts;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For reading on a terminal.
    Pretty,
}

/// Logging.
#[derive(Debug, Clone, clap::Args)]
pub struct LogArgs {
    /// How log lines look [default: pretty on a terminal, else json]
    #[arg(long, env = "LOG_FORMAT", global = true)]
    log_format: Option<LogFormat>,
    /// Which log lines are written, e.g. info or info,order_food=debug
    #[arg(long, env = "RUST_LOG", value_name = "RUST_LOG", global = true, default_value = "info,actix_server=warn,actix_http=off", value_parser = filter)]
    log_filter: String,
}

/// What may become a line: events, and questions whether one would be written. The driver asks before each notice.
fn is_no_span(metadata: &Metadata<'_>) -> bool {
    !metadata.is_span()
}

fn filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}; example: RUST_LOG=info,order_food=debug")),
    }
}

/// Where a program writes its log: the API to stdout, a job to stderr when stdout carries its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// The ordinary place.
    Stdout,
    /// Beside a result on stdout.
    Stderr,
}

/// A layer that writes log lines. They are written by a thread of their own; flush the guard
/// before the process ends, or the last of them may be lost.
pub(crate) fn lines<S>(
    arguments: &LogArgs,
    stream: LogStream,
) -> (Option<Box<dyn Layer<S> + Send + Sync>>, LogGuard)
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    let is_terminal = match stream {
        LogStream::Stdout => io::stdout().is_terminal(),
        LogStream::Stderr => io::stderr().is_terminal(),
    };
    let format =
        arguments.log_format.unwrap_or(if is_terminal { LogFormat::Pretty } else { LogFormat::Json });
    let Ok((writer, guard)) = LogWriter::start(stream) else { return (None, LogGuard::none()) };
    // Spans are the traces' business: for the log alone none are made.
    // Without any words errors are logged.
    let words = Some(arguments.log_filter.trim()).filter(|words| !words.is_empty()).unwrap_or("error");
    let wanted = format!("{words},{}", server_warnings::FILTER);
    let filter = filter_fn(is_no_span).and(EnvFilter::new(wanted));
    let lines: Box<dyn Layer<S> + Send + Sync> = match format {
        LogFormat::Json => Noticing(JsonLines(writer)).with_filter(filter).boxed(),
        LogFormat::Pretty => {
            let lines = tracing_subscriber::fmt::layer().with_writer(writer);
            Noticing(lines.with_ansi(is_terminal).with_target(false)).with_filter(filter).boxed()
        }
    };
    (Some(lines), guard)
}

/// An error's causes in one line, for the log; each is named once, although some errors repeat their cause. `words`
/// gives the words for a cause whose own are not meant for operators, such as a driver's.
pub fn causes(
    error: &(dyn Error + 'static),
    words: impl Fn(&(dyn Error + 'static)) -> Option<String>,
) -> String {
    let mut text = error.to_string();
    let mut cause = Some(error);
    while let Some(error) = cause {
        let own = error.to_string();
        let part = words(error).unwrap_or_else(|| own.clone());
        if part != own {
            text = text.replace(&own, &part);
        }
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use tracing::Level;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::with_server_warnings;

    /// The driver asks first, and is silent where the answer is no.
    #[tokio::test]
    async fn warnings_of_the_server_are_noticed_whatever_is_logged() {
        for log_filter in ["info", "error", "off", "sqlx=off", ""] {
            let arguments = LogArgs { log_format: Some(LogFormat::Json), log_filter: log_filter.to_owned() };
            let (lines, _guard) = lines(&arguments, LogStream::Stderr);
            let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines));
            let warn = async {
                if tracing::enabled!(target: "sqlx::postgres::notice", Level::WARN) {
                    tracing::warn!(target: "sqlx::postgres::notice", "canceling the wait");
                }
            };
            assert_eq!(with_server_warnings(warn).await, ((), true), "{log_filter:?}");
            assert!(!tracing::enabled!(target: "sqlx::query", Level::DEBUG), "{log_filter:?}");
        }
    }
}
