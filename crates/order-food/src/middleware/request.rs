//! Around every request: its ids and its trace, its line in the log and its metrics, its panic caught, its error written
//! out.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue,
    TRANSFER_ENCODING,
};
use actix_web::http::{ConnectionType, Method, StatusCode, Uri};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpResponse};
use domain::ClientId;
use futures_util::FutureExt;
use tracing::Instrument;

use super::trace::{Answer, RequestTrace};
use crate::http::error::ApiError;
use crate::http::request_context::RequestContext;
use crate::http::{body, rate_limit};
use crate::metrics::http::{Finished, method_name};
use crate::server::connections::Connection;
use crate::service::readiness::DatabaseState;
use crate::state::AppState;

/// Paths that orchestrators and Prometheus ask for.
const PROBES: [&str; 5] = ["/livez", "/readyz", "/health", "/healthcheck", "/metrics"];

/// The middleware.
pub async fn around<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let started = Instant::now();
    let Some(app) = request.app_data::<Data<AppState>>().cloned() else {
        return Err(ApiError::internal("a server without its state").into());
    };
    let connection = request.conn_data::<Arc<Connection>>().cloned();
    if let Some(connection) = connection.as_ref().filter(|connection| connection.is_closing()) {
        connection.end_soon().await;
        return Err(ApiError::of_framework(StatusCode::BAD_REQUEST).into());
    }
    if let Some(connection) = &connection
        && !connection.await_reader().await
    {
        return Err(ApiError::of_framework(StatusCode::REQUEST_TIMEOUT).into());
    }
    let _in_flight = app.edge.in_flight.enter();
    let _busy = connection.as_ref().map(Connection::begin_request);
    let method = method_name(request.method());
    let _active = app.observability.http_metrics.begin(method);
    // Probes come every few seconds. Their traces would hide all others.
    let is_probe = PROBES.contains(&request.path()) && !app.observability.traces_probes;
    let without_spans = is_probe.then(|| app.observability.tracing.without_spans());
    let tracing = without_spans.as_ref().unwrap_or(&app.observability.tracing);
    let observed = ObservedRequest {
        method,
        sent_method: request.method().clone(),
        // The request itself must not be held on to: routing needs it for itself.
        uri: request.uri().clone(),
        request_body_bytes: announced_bytes(request.headers()),
        has_body: request.headers().contains_key(TRANSFER_ENCODING)
            || announced_bytes(request.headers()).is_some(),
        is_last: request.head().connection_type() != ConnectionType::KeepAlive,
        connection,
        trace: RequestTrace::begin(&request, method, tracing),
        context: RequestContext::default(),
        is_answered: Cell::new(false),
        started,
        app,
    };
    request.extensions_mut().insert(observed.context.clone());

    // A panic leaves this request's own state behind and nothing shared: services hold no locks across calls.
    let answering = AssertUnwindSafe(next.call(request)).catch_unwind();
    let outcome = answering.instrument(observed.trace.span()).await;
    let outcome = outcome.map(|response| response.map(ServiceResponse::map_into_boxed_body));
    let (error, is_panic) = match outcome {
        Ok(Ok(response)) => {
            let (mut response, reason) =
                with_error_body(response, &observed.trace, observed.app.catalogue.readiness.database());
            let request = response.request().clone();
            rate_limit::write_headers(&request, response.headers_mut());
            observed.finish(response.response_mut(), reason, false);
            return Ok(response);
        }
        Ok(Err(error)) => (ApiError::of_framework(error.as_response_error().status_code()), false),
        Err(_) => {
            observed.app.observability.http_metrics.record_panic();
            (ApiError::internal("a handler panicked"), true)
        }
    };
    log_cause(&error, &observed.trace);
    let mut response = error.response(observed.trace.trace_id());
    observed.finish(&mut response, Some(error.reason().as_str()), is_panic);
    Err(InternalError::from_response(error, response).into())
}

/// How many bytes the request says it has; a body of more than a few times what is read is one of those, and no
/// stranger's number is added up.
fn announced_bytes(headers: &HeaderMap) -> Option<u64> {
    const MOST: u64 = 4 * body::MAX_BYTES as u64;
    let bytes: u64 = headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
    (bytes > 0).then_some(bytes.min(MOST))
}

/// A request that is told of when it has been answered, or when its client has gone away before that.
struct ObservedRequest {
    app: Data<AppState>,
    /// As metrics and traces name it.
    method: &'static str,
    sent_method: Method,
    uri: Uri,
    request_body_bytes: Option<u64>,
    has_body: bool,
    is_last: bool,
    connection: Option<Arc<Connection>>,
    trace: RequestTrace,
    context: RequestContext,
    is_answered: Cell<bool>,
    started: Instant,
}

impl ObservedRequest {
    /// What proxies log where the client did not wait for the answer.
    const CLIENT_CLOSED_REQUEST: u16 = 499;

    fn is_order(&self) -> bool {
        // The limit of an address refuses a request before it is routed.
        self.method == "POST" && self.context.route().unwrap_or_else(|| self.uri.path()) == "/api/order"
    }

    /// Tells the client, the trace, the metrics and the log.
    fn finish(&self, response: &mut HttpResponse<BoxBody>, reason: Option<&'static str>, is_panic: bool) {
        self.is_answered.set(true);
        let response_body_bytes = match response.body().size() {
            _ if self.method == "HEAD" => Some(0),
            BodySize::Sized(bytes) => Some(bytes),
            BodySize::None => Some(0),
            BodySize::Stream => None,
        };
        let head = response.head_mut();
        if !head.headers().contains_key(CACHE_CONTROL) {
            // Shared caches keep apart what `Authorization` guards (RFC 9111, section 3.5), not what a key does.
            head.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        self.trace.write_headers(head.headers_mut());
        // Nobody knows where the next request begins after a body that was not read.
        let is_last = self.is_last || self.has_body && !self.context.is_body_read();
        if is_last || self.app.catalogue.readiness.is_draining() {
            head.set_connection_type(ConnectionType::Close);
            if let Some(connection) = &self.connection {
                connection.close();
            }
        }
        let status = head.status.as_u16();
        self.trace.end(
            self.method,
            &self.context,
            &Answer { status, headers: Some(head.headers()), reason, is_panic },
        );
        self.record(status, reason, response_body_bytes);
    }

    /// Tells the metrics and the log: one line for each request. No query, no headers, no body: secrets stand there.
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a request")]
    fn record(&self, status: u16, reason: Option<&'static str>, response_body_bytes: Option<u64>) {
        let (duration, route) = (self.started.elapsed(), self.context.route());
        let finished =
            Finished { duration, request_body_bytes: self.request_body_bytes, response_body_bytes };
        self.app.observability.http_metrics.end(self.method, route, status, &finished);
        if let (true, Some(reason)) = (self.is_order(), reason) {
            self.app.observability.ordering_metrics.record_refused(reason);
        }
        tracing::info!(
            target: "access",
            method = self.sent_method.as_str(),
            route,
            path = self.uri.path(),
            status,
            duration_ms = duration.as_micros() as f64 / 1000.0,
            request_id = self.trace.request_id(),
            trace_id = self.trace.trace_id(),
            client = self.context.client().map(ClientId::get),
            reason,
        );
    }
}

impl Drop for ObservedRequest {
    fn drop(&mut self) {
        if !self.is_answered.get() {
            let status = Self::CLIENT_CLOSED_REQUEST;
            let answer = Answer { status, headers: None, reason: None, is_panic: false };
            self.trace.end(self.method, &self.context, &answer);
            self.record(status, None, None);
        }
    }
}

fn log_cause(error: &ApiError, trace: &RequestTrace) {
    if let Some(cause) = error.cause() {
        let (cause, reason) = (telemetry::causes(cause, database::words), error.reason().as_str());
        tracing::error!(trace_id = trace.trace_id(), reason, cause, "a request failed");
    }
}

/// Writes the body of a failed request: ours, or one in our shape for a failure that the framework found. Says why it
/// failed.
fn with_error_body(
    response: ServiceResponse<BoxBody>,
    trace: &RequestTrace,
    database: DatabaseState,
) -> (ServiceResponse<BoxBody>, Option<&'static str>) {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return (response, None);
    }
    let (error_response, reason) =
        match response.response().error().map(actix_web::Error::as_error::<ApiError>) {
            Some(Some(error)) => {
                log_cause(error, trace);
                let instead = error.for_want_of_a_database(database);
                let error = instead.as_ref().unwrap_or(error);
                (error.response(trace.trace_id()), error.reason())
            }
            _ if is_json(response.headers()) => return (response, None),
            _ => {
                let is_preflight = response.request().headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
                let error = if is_preflight { ApiError::preflight() } else { ApiError::of_framework(status) };
                (error.response(trace.trace_id()), error.reason())
            }
        };
    // Headers set on the way out, such as those for CORS, stay.
    let (request, refused) = response.into_parts();
    let mut response = error_response;
    for (name, value) in refused.headers() {
        if !response.headers().contains_key(name) {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    (ServiceResponse::new(request, response), Some(reason.as_str()))
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/json"))
}
