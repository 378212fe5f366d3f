//! Starting all of it, and seeing to it that nothing is lost at the end.

use std::panic;
use std::time::{Duration, Instant};

use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::log_queue::LogGuard;
use crate::logs::{self, LogArgs, LogCounts, LogStream};
use crate::traces::{self, KeptSpans, Pipeline, TraceArgs, Tracing};
use crate::{StopSignal, StopSignals};

/// Which program this is.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Its name in traces.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// Logs and traces.
#[derive(Debug, Clone, clap::Args)]
pub struct TelemetryArgs {
    #[command(flatten)]
    log: LogArgs,
    /// Traces.
    #[command(flatten)]
    pub traces: TraceArgs,
}

/// Logs and traces of this process, until dropped: then what waits is written and sent, within seconds.
pub struct Telemetry {
    // In this order: what goes wrong with the last spans is logged.
    pipeline: Option<Pipeline>,
    log: LogGuard,
    continues_traces: bool,
}

impl Telemetry {
    /// Starts logging, panics included, and sending spans. The first call of a process counts. Where spans cannot be
    /// sent at all, the log says so and the program goes on.
    pub fn start(service: Service, arguments: &TelemetryArgs, stream: LogStream) -> Self {
        let (pipeline, failure) = match Pipeline::start(&service, &arguments.traces) {
            Ok(pipeline) => (pipeline, None),
            Err(error) => (None, Some(error)),
        };
        let (lines, log) = logs::lines(&arguments.log, stream);
        let spans = pipeline.as_ref().map(|pipeline| {
            tracing_opentelemetry::layer()
                .with_tracer(pipeline.tracer())
                .with_location(false)
                .with_threads(false)
                .with_target(false)
                .with_tracked_inactivity(false)
                .with_filter(KeptSpans)
        });
        // A second start in one process (tests) keeps the first one's settings.
        let _ = tracing_subscriber::registry().with(spans).with(lines).try_init();
        panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let message = panic.payload_as_str().unwrap_or("a panic without a text");
            tracing::error!(place, "panicked: {message}");
            traces::fail(&tracing::Span::current(), "panic", "panicked");
        }));
        if let Some(error) = failure {
            tracing::warn!(%error, "no spans are sent");
        }
        for warning in arguments.traces.warnings() {
            tracing::warn!("{warning}");
        }
        Self { pipeline, log, continues_traces: arguments.traces.continues_traces() }
    }

    /// Decides which traces are kept.
    pub fn tracing(&self) -> Tracing {
        self.pipeline.as_ref().map_or_else(|| Tracing::off(self.continues_traces), Pipeline::tracing)
    }

    /// Counts of what was logged.
    pub fn log_counts(&self) -> LogCounts {
        self.log.counts()
    }

    /// Writes and sends what waits. Whoever cannot wait for that signals again: then it ends at once, and that signal is
    /// returned.
    pub async fn end(self, mut signals: StopSignals) -> Option<StopSignal> {
        let ending = tokio::task::spawn_blocking(move || drop(self));
        tokio::select! {
            _ = ending => None,
            signal = signals.next() => Some(signal),
        }
    }

    /// Ends without the last spans.
    pub fn end_at_once(mut self) {
        if let Some(pipeline) = self.pipeline.take() {
            // Sending goes on until the process is gone.
            std::mem::forget(pipeline);
        }
    }

    /// How long the end of a program waits, spans and log together.
    const END_DEADLINE: Duration = Duration::from_secs(5);
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        let started = Instant::now();
        if let Some(pipeline) = self.pipeline.take() {
            pipeline.end();
        }
        self.log.flush(Self::END_DEADLINE.saturating_sub(started.elapsed()));
    }
}
