//! Sending spans, with everything that may go wrong with it kept away from the program: a bounded queue, a count of
//! what was lost, one warning.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hyper_rustls::HttpsConnectorBuilder;
use opentelemetry::Context;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, RetryPolicy, SpanExporter as OtlpExporter, WithExportConfig,
    WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};
use tokio::runtime::Handle;

/// What became of the spans of this process.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub exported: AtomicU64,
    /// The collector did not take them.
    pub failed: AtomicU64,
    /// There was no room for them.
    pub dropped: AtomicU64,
    waiting: AtomicUsize,
    is_failing: AtomicBool,
}

/// Sends on a runtime of its own, so that neither the program's runtime nor its end holds it up.
#[derive(Debug)]
pub(crate) struct Exporter {
    otlp: Arc<OtlpExporter>,
    endpoint: String,
    runtime: Handle,
    tally: Arc<Tally>,
}

impl Exporter {
    /// How long one attempt may take unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise: the limit above all retries
    /// is the exporter's own.
    const TIMEOUT: Duration = Duration::from_secs(10);
    /// A collector that is restarted is back after that or much later.
    const RETRIES: usize = 2;

    /// An exporter to `endpoint`; nothing is connected yet. Call it inside `runtime`.
    pub(crate) fn new(
        endpoint: String,
        protocol: Protocol,
        runtime: Handle,
        tally: Arc<Tally>,
    ) -> Result<Self, ExporterBuildError> {
        let retries = RetryPolicy::recommended().with_max_retries(Self::RETRIES);
        let otlp = if protocol == Protocol::Grpc {
            OtlpExporter::builder()
                .with_tonic()
                .with_endpoint(&endpoint)
                .with_retry_policy(retries)
                .build()?
        } else {
            let builder = OtlpExporter::builder().with_http().with_protocol(protocol);
            let builder = if endpoint.starts_with("https:") {
                let connector = HttpsConnectorBuilder::new()
                    .with_native_roots()
                    .map_err(|error| ExporterBuildError::InternalFailure(error.to_string()))?
                    .https_only()
                    .enable_http1()
                    .build();
                builder.with_http_client(HyperClient::new(connector, Self::TIMEOUT, None))
            } else {
                builder.with_http_client(HyperClient::with_default_connector(Self::TIMEOUT, None))
            };
            builder.with_endpoint(&endpoint).with_retry_policy(retries).build()?
        };
        Ok(Self { otlp: Arc::new(otlp), endpoint, runtime, tally })
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let otlp = self.otlp.clone();
        let sent = self.runtime.spawn(async move { otlp.export(batch).await }).await;
        let outcome = sent.unwrap_or(Err(OTelSdkError::AlreadyShutdown));
        self.tally.waiting.fetch_sub(spans, Ordering::Relaxed);
        let counter = if outcome.is_ok() { &self.tally.exported } else { &self.tally.failed };
        counter.fetch_add(spans as u64, Ordering::Relaxed);
        let was_failing = self.tally.is_failing.swap(outcome.is_err(), Ordering::Relaxed);
        match &outcome {
            Err(error) if !was_failing => {
                tracing::warn!(endpoint = self.endpoint, %error, "the collector takes no spans; they are lost until it does");
            }
            Ok(()) if was_failing => {
                tracing::info!(endpoint = self.endpoint, "the collector takes spans again");
            }
            _ => {}
        }
        outcome
    }

    fn set_resource(&mut self, resource: &Resource) {
        if let Some(otlp) = Arc::get_mut(&mut self.otlp) {
            otlp.set_resource(resource);
        }
    }
}

/// Lets no more spans in than the queue has room for, and counts those that it turns away.
#[derive(Debug)]
pub(crate) struct Gate {
    queue: BatchSpanProcessor,
    tally: Arc<Tally>,
    capacity: usize,
}

impl Gate {
    pub(crate) const fn new(queue: BatchSpanProcessor, tally: Arc<Tally>, capacity: usize) -> Self {
        Self { queue, tally, capacity }
    }
}

impl SpanProcessor for Gate {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.tally.waiting.fetch_add(1, Ordering::Relaxed) < self.capacity {
            self.queue.on_end(span);
        } else {
            self.tally.waiting.fetch_sub(1, Ordering::Relaxed);
            self.tally.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.queue.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let outcome = self.queue.shutdown_with_timeout(timeout);
        let left = self.tally.waiting.load(Ordering::Relaxed);
        if left > 0 && !self.tally.is_failing.load(Ordering::Relaxed) {
            tracing::warn!(spans = left, "the collector did not take the last spans in time");
        }
        outcome
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.queue.set_resource(resource);
    }
}
