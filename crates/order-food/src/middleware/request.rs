//! Around every request: its ids and its trace, its line in the log and its metrics, its panic caught, its error written
//! out.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpResponse};
use futures_util::FutureExt;
use tracing::Instrument;

use super::trace::{Answer, RequestTrace};
use crate::app::AppState;
use crate::handler::error::ApiError;
use crate::handler::limits;
use crate::metrics::http::{Finished, method_name};
use crate::router::RouteTemplate;
use crate::service::Caller;

/// The middleware.
pub async fn around<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let started = Instant::now();
    let Some(app) = request.app_data::<Data<AppState>>().cloned() else {
        return Err(ApiError::internal("a server without its state").into());
    };
    let _in_flight = app.in_flight.enter();
    let method = method_name(request.method());
    let _active = app.http_metrics.begin(method);
    let trace = RequestTrace::begin(&request, method, &app.tracing);
    let request_body_bytes =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    // The request itself must not be held on to: routing needs it for itself.
    let uri = request.uri().clone();

    let outcome = match limits::check_address(&request, &app) {
        Ok(()) => {
            // A panic leaves this request's own state behind and nothing shared: services hold no locks across calls.
            let answering = AssertUnwindSafe(next.call(request)).catch_unwind();
            let outcome = answering.instrument(trace.span()).await;
            outcome.map(|response| response.map(ServiceResponse::map_into_boxed_body))
        }
        Err(refused) => Ok(Ok(request.into_response(HttpResponse::from_error(refused)))),
    };
    let watched = Watched { app: &app, method, trace: &trace, started, request_body_bytes };
    let (error, is_panic) = match outcome {
        Ok(Ok(response)) => {
            let (mut response, reason) = with_error_body(response, &trace);
            let request = response.request().clone();
            limits::tell(&request, response.headers_mut());
            let client = request.extensions().get::<Caller>().map(|caller| caller.client_id.get());
            let route = request.app_data::<RouteTemplate>().map(|route| route.0);
            let line = Line {
                method: request.method().as_str(),
                path: request.path(),
                route,
                client,
                reason,
                is_panic: false,
            };
            watched.finish(&line, response.response_mut());
            return Ok(response);
        }
        Ok(Err(error)) => (ApiError::of_framework(error.as_response_error().status_code()), false),
        Err(_) => {
            app.http_metrics.note_panic();
            (ApiError::internal("a handler panicked"), true)
        }
    };
    let mut response = error.response(trace.trace_id());
    let reason = Some(error.reason().as_str());
    watched.finish(
        &Line { method, path: uri.path(), route: None, client: None, reason, is_panic },
        &mut response,
    );
    Err(InternalError::from_response(error, response).into())
}

/// A request that was answered, on its way out.
struct Watched<'r> {
    app: &'r AppState,
    method: &'static str,
    trace: &'r RequestTrace,
    started: Instant,
    request_body_bytes: Option<u64>,
}

/// What the log says of a request, beside its outcome.
struct Line<'r> {
    method: &'r str,
    path: &'r str,
    route: Option<&'static str>,
    client: Option<i64>,
    reason: Option<&'static str>,
    is_panic: bool,
}

impl Watched<'_> {
    /// Tells the client, the trace, the metrics and the log.
    fn finish(&self, line: &Line<'_>, response: &mut HttpResponse<BoxBody>) {
        let response_body_bytes = match response.body().size() {
            BodySize::Sized(bytes) => Some(bytes),
            BodySize::None => Some(0),
            BodySize::Stream => None,
        };
        let head = response.head_mut();
        self.trace.tell(head.headers_mut());
        if self.app.readiness.is_draining() {
            head.set_connection_type(ConnectionType::Close);
        }
        self.trace.end(
            self.method,
            line.route,
            &Answer { head, client: line.client, reason: line.reason, is_panic: line.is_panic },
        );
        let duration = self.started.elapsed();
        let finished =
            Finished { duration, request_body_bytes: self.request_body_bytes, response_body_bytes };
        self.app.http_metrics.end(self.method, line.route, head.status, &finished);
        self.log(line, head.status, duration);
    }

    /// One line for each request. No query, no headers, no body: secrets stand there.
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a request")]
    fn log(&self, line: &Line<'_>, status: StatusCode, duration: Duration) {
        tracing::info!(
            target: "access",
            method = line.method,
            route = line.route,
            path = line.path,
            status = status.as_u16(),
            duration_ms = duration.as_micros() as f64 / 1000.0,
            request_id = self.trace.request_id(),
            trace_id = self.trace.trace_id(),
            client = line.client,
            reason = line.reason,
        );
    }
}

/// Writes the body of a failed request: ours, or one in our shape for a failure that the framework found. Says why it
/// failed.
fn with_error_body(
    response: ServiceResponse<BoxBody>,
    trace: &RequestTrace,
) -> (ServiceResponse<BoxBody>, Option<&'static str>) {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return (response, None);
    }
    let (error_response, reason) =
        match response.response().error().map(actix_web::Error::as_error::<ApiError>) {
            Some(Some(error)) => {
                if let Some(cause) = error.cause() {
                    let (cause, reason) = (telemetry::causes(cause), error.reason().as_str());
                    tracing::error!(trace_id = trace.trace_id(), reason, cause, "a request failed");
                }
                (error.response(trace.trace_id()), error.reason())
            }
            _ if is_json(response.headers()) => return (response, None),
            _ => {
                let error = ApiError::of_framework(status);
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
