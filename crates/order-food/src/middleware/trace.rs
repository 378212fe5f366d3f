//! The trace of a request: continued from the caller or begun here, and what it says about the request.
//!
//! Attributes are those of the semantic conventions for HTTP servers. Of the headers only a few are named, and no query:
//! keys and codes stand in the others.

use std::sync::Arc;

use actix_web::dev::ServiceRequest;
use actix_web::http::Version;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use telemetry::Tracing;
use telemetry::traces::{self, Root, TraceParent};
use tracing::Span;
use uuid::Uuid;

use crate::http::request_context::RequestContext;
use crate::metrics::http::OTHER_METHOD;
use crate::server::connections::Connection;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// The answer to `traceparent` (W3C Trace Context, level 2).
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// Headers of a request that may be seen in a trace.
pub const REQUEST_HEADERS: [(&str, &str); 4] = [
    ("accept", "http.request.header.accept"),
    ("accept-encoding", "http.request.header.accept-encoding"),
    ("content-length", "http.request.header.content-length"),
    ("content-type", "http.request.header.content-type"),
];
/// Headers of an answer that may be seen in a trace.
pub const RESPONSE_HEADERS: [(&str, &str); 3] = [
    ("content-type", "http.response.header.content-type"),
    ("idempotent-replayed", "http.response.header.idempotent-replayed"),
    ("retry-after", "http.response.header.retry-after"),
];

/// What identifies a request, and its span if its trace is kept.
pub struct RequestTrace {
    /// The W3C trace it belongs to, 32 hexadecimal digits.
    trace_id: HeaderValue,
    /// What the client calls it, else the trace id.
    request_id: HeaderValue,
    root: Option<Root>,
}

impl RequestTrace {
    /// The longest request id that is believed.
    const MAX_BYTES: usize = 128;

    /// The client's ids where it sent usable ones.
    pub fn begin(request: &ServiceRequest, method: &'static str, tracing: &Tracing) -> Self {
        let headers = request.headers();
        // One that stands there twice is none (W3C Trace Context, section 3.2.1).
        let parent = only(headers, TRACEPARENT)
            .filter(|_| tracing.continues())
            .and_then(|parent| TraceParent::parse(parent, only(headers, TRACESTATE)));
        let root = tracing.root(parent.as_ref(), || span(request, method));
        let trace_id = match (&root, &parent) {
            (Some(root), _) => header_value(&root.trace_id().to_string()),
            (None, Some(parent)) => header_value(&parent.trace_id().to_string()),
            (None, None) => new_trace_id(),
        };
        let is_usable = |id: &&HeaderValue| {
            (1..=Self::MAX_BYTES).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        let request_id = headers.get(REQUEST_ID).filter(is_usable).unwrap_or(&trace_id).clone();
        let begun = Self { trace_id, request_id, root };
        if let Some(Root { span, .. }) = &begun.root {
            traces::set_list(span, "http.request.header.x-request-id", &[begun.request_id()]);
        }
        begun
    }

    /// The trace's id, kept or not.
    pub fn trace_id(&self) -> &str {
        self.trace_id.to_str().unwrap_or_default()
    }

    /// The request's id.
    pub fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }

    /// The span to be inside of.
    pub fn span(&self) -> Span {
        self.root.as_ref().map_or_else(Span::none, |root| root.span.clone())
    }

    /// Writes the ids into the response's headers.
    pub fn write_headers(&self, headers: &mut HeaderMap) {
        headers.insert(REQUEST_ID, self.request_id.clone());
        if let Some(root) = &self.root {
            let text = format!("00-{}-{}-01", root.trace_id(), root.span_id());
            headers.insert(TRACERESPONSE, header_value(&text));
        }
    }

    /// Says what became of the request.
    pub fn end(&self, method: &'static str, context: &RequestContext, answer: &Answer<'_>) {
        let Some(root) = &self.root else { return };
        let span = &root.span;
        if let Some(route) = context.route() {
            // Semantic conventions for HTTP, name: a method that nobody knows is HTTP.
            let method = if method == OTHER_METHOD { "HTTP" } else { method };
            traces::rename(span, format!("{method} {route}"));
            span.record("http.route", route);
        }
        span.record("http.response.status_code", i64::from(answer.status));
        if let Some(client) = context.client() {
            span.record("order_food.client.id", client.get());
        }
        if let Some(reason) = answer.reason {
            span.record("order_food.reason", reason);
        }
        if let Some(headers) = answer.headers {
            set_headers(span, headers, &RESPONSE_HEADERS);
        }
        // A panic was noted where it happened.
        if answer.status >= 499 && !answer.is_panic {
            traces::fail(span, answer.status.to_string(), "");
        }
        // What is still under way for it, such as a statement that took too long, does not make it longer.
        root.end();
    }
}

/// What there is to say of an answer.
pub struct Answer<'a> {
    /// Its status; 499 where the client did not wait for one.
    pub status: u16,
    /// Its headers, if there is one.
    pub headers: Option<&'a HeaderMap>,
    /// Why it was refused.
    pub reason: Option<&'static str>,
    /// Whether the handler panicked.
    pub is_panic: bool,
}

fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name);
    values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
}

fn span(request: &ServiceRequest, method: &'static str) -> Span {
    use tracing::field::Empty;
    let local = request.conn_data::<Arc<Connection>>().and_then(|connection| connection.local_address());
    let version = match request.version() {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    };
    let user_agent = request.headers().get("user-agent").and_then(|agent| agent.to_str().ok());
    let span = telemetry::root_span!(
        "request",
        otel.name = if method == OTHER_METHOD { "HTTP" } else { method },
        otel.kind = "server",
        http.request.method = method,
        http.route = Empty,
        http.response.status_code = Empty,
        url.path = traces::cut(request.path()),
        url.scheme = "http",
        server.address = local.map(|local| local.ip().to_string()),
        // The exporter knows signed integers only, and turns others into text.
        server.port = local.map(|local| i64::from(local.port())),
        network.protocol.version = version,
        user_agent.original = user_agent.map(traces::cut),
        order_food.client.id = Empty,
        order_food.reason = Empty,
    );
    set_headers(&span, request.headers(), &REQUEST_HEADERS);
    span
}

/// Semantic conventions want lists: a header may stand there several times.
fn set_headers(span: &Span, headers: &HeaderMap, allowed: &[(&'static str, &'static str)]) {
    for (header, attribute) in allowed {
        let values: Vec<_> = headers.get_all(*header).filter_map(|value| value.to_str().ok()).collect();
        if !values.is_empty() {
            traces::set_list(span, attribute, &values);
        }
    }
}

fn new_trace_id() -> HeaderValue {
    let mut digits = [0; 32];
    header_value(Uuid::from_u128(fastrand::u128(1..)).simple().encode_lower(&mut digits))
}

/// Of hexadecimal digits, which any header can hold.
fn header_value(digits: &str) -> HeaderValue {
    HeaderValue::from_str(digits).unwrap_or_else(|_| HeaderValue::from_static(""))
}
