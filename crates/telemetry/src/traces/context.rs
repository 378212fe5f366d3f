//! W3C Trace Context: which trace a request belongs to.

use std::str::FromStr;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

/// The caller's span, read from `traceparent` and `tracestate` (W3C Trace Context, sections 3.2 and 3.3).
#[derive(Debug, Clone)]
pub struct TraceParent(pub(crate) Context);

impl TraceParent {
    /// `None` if the header is none that the recommendation allows. The SDK's own propagator takes more than that.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let is_hex = |part: &str, len| {
            part.len() == len && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let mut parts = traceparent.split('-');
        let (version, trace_id, span_id, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_well_formed = is_hex(version, 2)
            && version != "ff"
            && is_hex(trace_id, 32)
            && is_hex(span_id, 16)
            && is_hex(flags, 2)
            && (version != "00" || parts.next().is_none());
        if !is_well_formed {
            return None;
        }
        let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
        let state = tracestate.and_then(|state| TraceState::from_str(state).ok()).unwrap_or_default();
        let (trace_id, span_id) = (TraceId::from_hex(trace_id).ok()?, SpanId::from_hex(span_id).ok()?);
        let span = SpanContext::new(trace_id, span_id, flags, true, state);
        span.is_valid().then(|| Self(Context::new().with_remote_span_context(span)))
    }

    /// The trace's id.
    pub fn trace_id(&self) -> TraceId {
        self.0.span().span_context().trace_id()
    }
}

/// Of the span that is entered here and now, if it is kept.
pub(crate) fn active_ids() -> Option<SpanContext> {
    Context::map_current(|context| {
        let span = context.span();
        let ids = span.span_context();
        ids.is_valid().then(|| ids.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_valid_traceparent_is_continued() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        let trace_id =
            |text: &str| TraceParent::parse(text, None).map(|parent| parent.trace_id().to_string());
        assert_eq!(trace_id(&format!("00-{id}-b7ad6b7169203331-01")).as_deref(), Some(id));
        assert_eq!(trace_id(&format!("01-{id}-b7ad6b7169203331-01-new")).as_deref(), Some(id));
        for wrong in [
            String::new(),
            format!("00-{id}-b7ad6b7169203331"),
            format!("00-{id}-b7ad6b7169203331-01-new"),
            format!("ff-{id}-b7ad6b7169203331-01"),
            format!("00-{}-b7ad6b7169203331-01", id.to_uppercase()),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{id}-0000000000000000-01"),
        ] {
            assert_eq!(trace_id(&wrong), None, "{wrong}");
        }
    }
}
