//! Sending spans, with everything that may go wrong with it kept away from the program: a bounded queue, a count of
//! what was lost, one warning.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hyper_rustls::HttpsConnectorBuilder;
use opentelemetry::Context;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    Compression, ExporterBuildError, Protocol, RetryPolicy, SpanExporter as OtlpExporter, WithExportConfig,
    WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};
use tokio::runtime::Handle;
use tonic::metadata::MetadataMap;

use super::settings::Destination;
use crate::causes;

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
    last_cause: Arc<Mutex<Option<String>>>,
}

impl Exporter {
    /// A collector that is restarted is back after that or much later.
    const RETRIES: usize = 2;

    /// Nothing is connected yet. Call it inside `runtime`.
    pub(crate) fn new(
        destination: Destination,
        runtime: Handle,
        tally: Arc<Tally>,
    ) -> Result<Self, ExporterBuildError> {
        let Destination { url: endpoint, protocol, headers, timeout, is_compressed } = destination;
        let retries = RetryPolicy::recommended().with_max_retries(Self::RETRIES);
        let compression = is_compressed.then_some(Compression::Gzip);
        let last_cause = Arc::<Mutex<Option<String>>>::default();
        let otlp = if protocol == Protocol::Grpc {
            let metadata = MetadataMap::from_headers(headers);
            let builder = OtlpExporter::builder().with_tonic().with_endpoint(&endpoint).with_timeout(timeout);
            let builder = builder.with_metadata(metadata).with_retry_policy(retries);
            match compression {
                Some(compression) => builder.with_compression(compression).build()?,
                None => builder.build()?,
            }
        } else {
            let client = ClientThatTells::new(&endpoint, timeout, last_cause.clone())?;
            let builder =
                OtlpExporter::builder().with_http().with_protocol(protocol).with_http_client(client);
            let headers = headers
                .iter()
                .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
            let builder =
                builder.with_endpoint(&endpoint).with_headers(headers.collect()).with_timeout(timeout);
            let builder = builder.with_retry_policy(retries);
            match compression {
                Some(compression) => builder.with_compression(compression).build()?,
                None => builder.build()?,
            }
        };
        Ok(Self { otlp: Arc::new(otlp), endpoint, runtime, tally, last_cause })
    }
}

/// Remembers why a request failed: the exporter's own error says only that one did.
#[derive(Debug)]
struct ClientThatTells {
    client: Box<dyn HttpClient>,
    last_cause: Arc<Mutex<Option<String>>>,
}

impl ClientThatTells {
    fn new(
        endpoint: &str,
        timeout: Duration,
        last_cause: Arc<Mutex<Option<String>>>,
    ) -> Result<Self, ExporterBuildError> {
        let client: Box<dyn HttpClient> = if endpoint.starts_with("https:") {
            let connector = HttpsConnectorBuilder::new().with_native_roots().map_err(|_| {
                ExporterBuildError::InternalFailure("there are no CA certificates for https".to_owned())
            })?;
            let connector = connector.https_only().enable_http1().build();
            Box::new(HyperClient::new(connector, timeout, None))
        } else {
            Box::new(HyperClient::with_default_connector(timeout, None))
        };
        Ok(Self { client, last_cause })
    }
}

#[async_trait]
impl HttpClient for ClientThatTells {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.client.send_bytes(request).await;
        let cause = answer.as_ref().err().map(|error| causes(&**error, |_| None));
        *self.last_cause.lock().unwrap_or_else(PoisonError::into_inner) = cause;
        answer
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
                let cause = self.last_cause.lock().unwrap_or_else(PoisonError::into_inner).take();
                tracing::warn!(endpoint = self.endpoint, %error, cause, "the collector takes no spans; they are lost until it does");
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
