//! Making spans and saying things about them.

use std::borrow::Cow;

use opentelemetry::trace::{SpanContext, SpanId, Status, TraceContextExt, TraceId};
use opentelemetry::{Array, KeyValue, StringValue, Value};
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use super::TraceParent;

/// The first span of a trace in this process; only [`Tracing::root`](super::Tracing::root) may want one.
#[macro_export]
macro_rules! root_span {
    ($($span:tt)*) => { $crate::__tracing::info_span!(target: "otel::root", $($span)*) };
}

/// A span inside one that is kept; anywhere else it is none.
#[macro_export]
macro_rules! span {
    ($($span:tt)*) => { $crate::__tracing::info_span!(target: "otel::child", $($span)*) };
}

/// Which spans the exporter is shown: ours, and children only inside a trace that is kept.
pub(crate) struct KeptSpans;

impl<S: Subscriber + for<'l> LookupSpan<'l>> Filter<S> for KeptSpans {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        metadata.is_span()
            && match metadata.target() {
                "otel::root" => true,
                "otel::child" => context.lookup_current().is_some(),
                _ => false,
            }
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        match metadata.target() {
            "otel::root" => tracing::subscriber::Interest::always(),
            "otel::child" => tracing::subscriber::Interest::sometimes(),
            _ => tracing::subscriber::Interest::never(),
        }
    }
}

/// The first span of a trace that is kept.
#[derive(Debug, Clone)]
pub struct Root {
    /// The span, to be entered.
    pub span: Span,
    ids: SpanContext,
}

impl Root {
    pub(crate) fn new(span: Span, parent: Option<&TraceParent>) -> Self {
        if let Some(parent) = parent {
            // Fails only for spans that nobody exports.
            let _ = span.set_parent(parent.0.clone());
        }
        let ids = span.context().span().span_context().clone();
        Self { span, ids }
    }

    /// The trace's id.
    pub fn trace_id(&self) -> TraceId {
        self.ids.trace_id()
    }

    /// The span's id.
    pub fn span_id(&self) -> SpanId {
        self.ids.span_id()
    }

    /// The program exits with that code.
    pub fn finish(self, exit_code: u8, failure: Option<String>) {
        set(&self.span, "process.exit.code", i64::from(exit_code));
        if let Some(failure) = failure {
            fail(&self.span, exit_code.to_string(), failure);
        }
        self.end();
    }

    /// Ends the span now, although others may still be inside it.
    pub fn end(&self) {
        self.span.context().span().end();
    }
}

/// A trace of its own for work that is done for several others at once: kept if one of theirs is, and linked with
/// each that is, both ways.
pub fn joint<'s>(
    others: impl Iterator<Item = &'s Span> + Clone,
    make: impl FnOnce() -> Span,
) -> Option<Root> {
    others.clone().find(|span| is_kept(span))?;
    let root = Root::new(make(), None);
    for span in others.filter(|span| is_kept(span)) {
        root.span.add_link(span.context().span().span_context().clone());
        span.add_link(root.ids.clone());
    }
    Some(root)
}

/// Whether a span is sent. A span exists also where every layer has refused it.
pub fn is_kept(span: &Span) -> bool {
    !span.is_disabled() && span.context().span().span_context().is_sampled()
}

/// As much of a text from outside as may stand in a span: the queue is bounded in spans, so each has to be.
pub fn cut(text: &str) -> &str {
    const MOST_BYTES: usize = 256;
    &text[..text.floor_char_boundary(MOST_BYTES)]
}

/// Notes something about the span. Nobody's secrets, and nobody's name: `docs/telemetry.md` lists what may stand here.
pub fn set(span: &Span, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
    if !span.is_disabled() {
        span.set_attribute(name.into(), value);
    }
}

/// Gives the span another name, once that is known.
pub fn rename(span: &Span, name: String) {
    span.context().span().update_name(name);
}

/// Notes something that came from outside, and that there may be several of.
pub fn set_list(span: &Span, name: &'static str, values: &[&str]) {
    let values = values.iter().map(|value| StringValue::from(cut(value).to_owned())).collect();
    set(span, name, Value::Array(Array::String(values)));
}

/// Notes that something happened now.
pub fn add_event<const N: usize>(
    span: &Span,
    name: &'static str,
    attributes: impl FnOnce() -> [(&'static str, Value); N],
) {
    if !span.is_disabled() {
        let attributes = attributes().into_iter().map(|(name, value)| KeyValue::new(name, value)).collect();
        span.add_event(name, attributes);
    }
}

/// Notes that what the span stands for failed; `kind` is `error.type`, one of few.
pub fn fail(span: &Span, kind: impl Into<Cow<'static, str>>, description: impl Into<Cow<'static, str>>) {
    if !span.is_disabled() {
        span.set_attribute("error.type", kind.into());
        span.set_status(Status::error(description));
    }
}
