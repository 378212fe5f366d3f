//! Starting all of it, and seeing to it that nothing is lost at the end.

use std::panic;

use opentelemetry_otlp::ExporterBuildError;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::logs::{self, LogArgs, LogCounts, LogStream};
use crate::traces::{self, KeptSpans, Pipeline, TraceArgs, Tracing};
use crate::writer::LogGuard;

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
    flushes: bool,
}

impl Telemetry {
    /// Starts logging, panics included, and sending spans. The first call of a process counts. Fails only where a
    /// setting cannot be used; a collector that is away is none of the program's business.
    pub fn start(
        service: Service,
        arguments: &TelemetryArgs,
        stream: LogStream,
    ) -> Result<Self, ExporterBuildError> {
        let pipeline = Pipeline::start(&service, &arguments.traces)?;
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
        Ok(Self { pipeline, log, flushes: true })
    }

    /// Decides which traces are kept.
    pub fn tracing(&self) -> Tracing {
        self.pipeline.as_ref().map_or_else(Tracing::off, Pipeline::tracing)
    }

    /// Counts of what was logged.
    pub fn log_counts(&self) -> LogCounts {
        self.log.counts()
    }

    /// The end is not to wait for the last spans.
    pub const fn end_at_once(&mut self) {
        self.flushes = false;
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(pipeline) = self.pipeline.take() {
            pipeline.end(self.flushes);
        }
    }
}
