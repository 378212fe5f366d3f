//! From a finished span to the collector, and the decision which traces are kept.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanKind, TraceId, TracerProvider};
use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, Sampler, SamplingDecision, SdkTracer, SdkTracerProvider, ShouldSample,
};
use tokio::runtime::{Builder, Runtime};

use super::export::{Exporter, Gate, Tally};
use super::{Root, TraceArgs, TraceParent};
use crate::Service;

/// Decides which traces are kept, and knows what became of them. Cloning gives another handle.
#[derive(Debug, Clone)]
pub struct Tracing {
    kept: Option<Arc<Kept>>,
    continues: bool,
}

#[derive(Debug)]
struct Kept {
    sampler: Sampler,
    tally: Arc<Tally>,
}

/// How many spans left this process, and how many did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// The collector has them.
    pub exported: u64,
    /// The collector did not take them.
    pub failed: u64,
    /// There were more than the queue had room for.
    pub dropped: u64,
}

impl Tracing {
    /// Keeps nothing. `continues` says whether answers go on with the ids of callers' traces.
    pub const fn off(continues: bool) -> Self {
        Self { kept: None, continues }
    }

    /// The same for what makes no spans.
    #[must_use]
    pub const fn without_spans(&self) -> Self {
        Self { kept: None, continues: self.continues }
    }

    /// Whether the traces of callers are continued.
    pub const fn continues(&self) -> bool {
        self.continues
    }

    /// Begins a trace, or goes on with the caller's: `None` if it is not kept. `make` makes its first span, with
    /// [`root_span!`](crate::root_span).
    pub fn root(&self, parent: Option<&TraceParent>, make: impl FnOnce() -> tracing::Span) -> Option<Root> {
        let kept = self.kept.as_ref()?;
        let trace_id = parent.map_or_else(|| TraceId::from(fastrand::u128(1..)), TraceParent::trace_id);
        let context = parent.map(|parent| &parent.0);
        let sampled =
            kept.sampler.should_sample(context, trace_id, "", &SpanKind::Internal, &[], &[]).decision;
        (sampled == SamplingDecision::RecordAndSample).then(|| Root::new(make(), parent))
    }

    /// What became of the spans so far.
    pub fn counts(&self) -> SpanCounts {
        self.kept.as_ref().map_or_else(SpanCounts::default, |kept| SpanCounts {
            exported: kept.tally.exported.load(Ordering::Relaxed),
            failed: kept.tally.failed.load(Ordering::Relaxed),
            dropped: kept.tally.dropped.load(Ordering::Relaxed),
        })
    }
}

/// Everything behind a span. Ends with [`Pipeline::end`].
pub(crate) struct Pipeline {
    provider: SdkTracerProvider,
    tracing: Tracing,
    runtime: Runtime,
    scope: &'static str,
}

impl Pipeline {
    /// Enough for a transaction with as many orders as there may be in one.
    const MOST_LINKS: u32 = 1024;
    /// How long the end of a program waits for the last spans to be taken.
    const FLUSH_DEADLINE: Duration = Duration::from_secs(4);

    /// Starts sending spans, if they are wanted.
    pub(crate) fn start(
        service: &Service,
        arguments: &TraceArgs,
    ) -> Result<Option<Self>, ExporterBuildError> {
        let Some(destination) = arguments.destination() else { return Ok(None) };
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("otlp").enable_all().build();
        let runtime = runtime.map_err(|error| ExporterBuildError::InternalFailure(error.to_string()))?;
        let tally = Arc::new(Tally::default());
        let exporter = {
            let _inside = runtime.enter();
            Exporter::new(destination, runtime.handle().clone(), tally.clone())?
        };
        let queue = BatchSpanProcessor::builder(exporter).with_batch_config(arguments.queue()).build();
        let gate = Gate::new(queue, tally.clone(), arguments.capacity());
        let provider = SdkTracerProvider::builder()
            // Whether a trace is kept was decided before its first span was made.
            .with_sampler(Sampler::AlwaysOn)
            .with_max_links_per_span(Self::MOST_LINKS)
            .with_resource(resource(service, arguments))
            .with_span_processor(gate)
            .build();
        let kept = Some(Arc::new(Kept { sampler: arguments.sampler(), tally }));
        let tracing = Tracing { kept, continues: arguments.continues_traces() };
        Ok(Some(Self { provider, tracing, runtime, scope: service.name }))
    }

    pub(crate) fn tracer(&self) -> SdkTracer {
        self.provider.tracer(self.scope)
    }

    pub(crate) fn tracing(&self) -> Tracing {
        self.tracing.clone()
    }

    /// Sends what waits, within a deadline, and stops.
    pub(crate) fn end(self) {
        // A collector that takes nothing was warned about; it is no reason to fail.
        let _ = self.provider.shutdown_with_timeout(Self::FLUSH_DEADLINE);
        self.runtime.shutdown_background();
    }
}

/// Who sends; `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` go before our own words.
fn resource(service: &Service, arguments: &TraceArgs) -> Resource {
    let version = arguments.service_version(service.version).to_owned();
    let instance = format!("{:032x}", fastrand::u128(..));
    let ours = [
        KeyValue::new("service.name", service.name),
        KeyValue::new("service.version", version),
        KeyValue::new("service.instance.id", instance),
        KeyValue::new("deployment.environment.name", arguments.environment.clone()),
    ];
    let given = Resource::builder().build();
    let is_ours = |attribute: &KeyValue| {
        let key = attribute.key.as_str();
        let is_placeholder = |value: &str| key == "service.name" && value.starts_with("unknown_service");
        given.get(&attribute.key).is_none_or(|value| is_placeholder(&value.as_str()))
    };
    Resource::builder().with_attributes(ours.into_iter().filter(is_ours)).build()
}
