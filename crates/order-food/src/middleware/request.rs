//! Around every request: its ids, its line in the log, its panic caught, its error written out.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ResponseHead, ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpResponse};
use futures_util::FutureExt;
use uuid::Uuid;

use crate::app::AppState;
use crate::handler::error::ApiError;
use crate::handler::limits;
use crate::router::RouteTemplate;
use crate::service::Caller;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What identifies a request.
struct RequestIds {
    /// The W3C trace it belongs to, 32 hexadecimal digits.
    trace_id: HeaderValue,
    /// What the client calls it, else the trace id.
    request_id: HeaderValue,
}

impl RequestIds {
    /// The longest request id that is believed.
    const MAX_BYTES: usize = 128;

    /// The client's ids where it sent usable ones.
    fn of(headers: &HeaderMap) -> Self {
        let continued = headers.get(TRACEPARENT).and_then(|value| trace_id(value.to_str().ok()?));
        let trace_id = continued.map_or_else(new_trace_id, header_value);
        let is_usable = |id: &&HeaderValue| {
            (1..=Self::MAX_BYTES).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        let request_id = headers.get(REQUEST_ID).filter(is_usable).unwrap_or(&trace_id).clone();
        Self { trace_id, request_id }
    }

    fn trace_id(&self) -> &str {
        self.trace_id.to_str().unwrap_or_default()
    }
}

/// The trace id of a `traceparent` (W3C Trace Context, section 3.2).
fn trace_id(traceparent: &str) -> Option<&str> {
    let is_hex = |part: &str, len| {
        part.len() == len && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let mut parts = traceparent.split('-');
    let (version, trace_id, parent_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_valid = is_hex(version, 2)
        && version != "ff"
        && is_hex(trace_id, 32)
        && is_hex(parent_id, 16)
        && is_hex(flags, 2)
        && (version != "00" || parts.next().is_none())
        && trace_id.bytes().any(|byte| byte != b'0')
        && parent_id.bytes().any(|byte| byte != b'0');
    is_valid.then_some(trace_id)
}

fn new_trace_id() -> HeaderValue {
    let mut digits = [0; 32];
    header_value(Uuid::from_u128(fastrand::u128(1..)).simple().encode_lower(&mut digits))
}

/// Of hexadecimal digits, which any header can hold.
fn header_value(digits: &str) -> HeaderValue {
    HeaderValue::from_str(digits).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The middleware.
pub async fn around<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let started = Instant::now();
    let app = request.app_data::<Data<AppState>>().cloned();
    let _in_flight = app.as_ref().map(|app| app.in_flight.enter());
    let ids = RequestIds::of(request.headers());
    // The request itself must not be held on to: routing needs it for itself.
    let (method, uri) = (request.method().clone(), request.uri().clone());

    let limited = app.as_ref().map_or(Ok(()), |app| limits::check_address(&request, app));

    // A panic leaves this request's own state behind and nothing shared: services hold no locks across calls.
    let outcome = match limited {
        Ok(()) => {
            let outcome = AssertUnwindSafe(next.call(request)).catch_unwind().await;
            outcome.map(|response| response.map(ServiceResponse::map_into_boxed_body))
        }
        Err(refused) => Ok(Ok(request.into_response(HttpResponse::from_error(refused)))),
    };
    let error = match outcome {
        Ok(Ok(response)) => {
            let mut response = with_error_body(response, &ids);
            let request = response.request().clone();
            limits::tell(&request, response.headers_mut());
            finish(response.response_mut().head_mut(), &ids, app.as_ref());
            let client = request.extensions().get::<Caller>().map(|caller| caller.client_id.get());
            let route = request.app_data::<RouteTemplate>().map(|route| route.0);
            log(
                &Line { method: request.method(), path: request.path(), route, client },
                response.status(),
                &ids,
                started,
            );
            return Ok(response);
        }
        Ok(Err(error)) => ApiError::of_framework(error.as_response_error().status_code()),
        Err(_) => ApiError::internal("a handler panicked"),
    };
    let mut response = error.response(ids.trace_id());
    finish(response.head_mut(), &ids, app.as_ref());
    log(
        &Line { method: &method, path: uri.path(), route: None, client: None },
        response.status(),
        &ids,
        started,
    );
    Err(InternalError::from_response(error, response).into())
}

fn finish(head: &mut ResponseHead, ids: &RequestIds, app: Option<&Data<AppState>>) {
    head.headers_mut().insert(REQUEST_ID, ids.request_id.clone());
    if app.is_some_and(|app| app.readiness.is_draining()) {
        head.set_connection_type(ConnectionType::Close);
    }
}

/// Writes the body of a failed request: ours, or one in our shape for a failure that the framework found.
fn with_error_body(response: ServiceResponse<BoxBody>, ids: &RequestIds) -> ServiceResponse<BoxBody> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let error_response = match response.response().error().map(actix_web::Error::as_error::<ApiError>) {
        Some(Some(error)) => {
            if let Some(cause) = error.cause() {
                let cause = telemetry::causes(cause);
                tracing::error!(trace_id = ids.trace_id(), reason = ?error.reason(), cause, "a request failed");
            }
            error.response(ids.trace_id())
        }
        _ if is_json(response.headers()) => return response,
        _ => ApiError::of_framework(status).response(ids.trace_id()),
    };
    // Headers set on the way out, such as those for CORS, stay.
    let (request, refused) = response.into_parts();
    let mut response = error_response;
    for (name, value) in refused.headers() {
        if !response.headers().contains_key(name) {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    ServiceResponse::new(request, response)
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/json"))
}

/// What the log says of a request, beside its outcome.
struct Line<'r> {
    method: &'r Method,
    path: &'r str,
    route: Option<&'static str>,
    client: Option<i64>,
}

/// One line for each request. No query, no headers, no body: secrets stand there.
#[expect(clippy::cast_precision_loss, reason = "microseconds of a request")]
fn log(line: &Line<'_>, status: StatusCode, ids: &RequestIds, started: Instant) {
    tracing::info!(
        target: "access",
        method = line.method.as_str(),
        route = line.route,
        path = line.path,
        status = status.as_u16(),
        duration_ms = started.elapsed().as_micros() as f64 / 1000.0,
        request_id = ids.request_id.to_str().unwrap_or_default(),
        trace_id = ids.trace_id(),
        client = line.client,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_valid_traceparent_is_continued() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(trace_id(&format!("00-{id}-b7ad6b7169203331-01")), Some(id));
        assert_eq!(trace_id(&format!("01-{id}-b7ad6b7169203331-01-new")), Some(id));
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
