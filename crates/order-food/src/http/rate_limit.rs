//! Rate limits at the edge: who is asking, may they, and what the answer says about it.

use std::net::IpAddr;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest};
use domain::ClientId;

use super::error::ApiError;
use super::reason::Reason;
use crate::service::rate_limits::{Decision, RateLimits};
use crate::state::AppState;

/// Where a request came from, recorded by the middleware when limits are on.
#[derive(Debug, Clone, Copy)]
struct ClientAddress(IpAddr);

/// The decision that an answer tells about.
#[derive(Debug, Clone, Copy)]
struct RateLimitDecision(&'static str, Decision);

/// Counts a request against its address. Only the API is limited: probes and docs are not.
pub fn check_address(request: &ServiceRequest, app: &AppState) -> Result<(), ApiError> {
    if !app.edge.rate_limits.are_on() || !request.path().starts_with("/api/") {
        return Ok(());
    }
    let Some(peer) = request.peer_addr() else { return Ok(()) };
    let forwarded = request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
    let client = app.edge.trusted_proxies.client_address(peer.ip(), forwarded);
    if client.is_cut {
        app.observability.http_metrics.record_invalid_forwarded_address();
    }
    let address = client.address;
    request.extensions_mut().insert(ClientAddress(address));
    match app.edge.rate_limits.address(address) {
        None => Ok(()),
        Some(decision) => {
            request.extensions_mut().insert(RateLimitDecision("address", decision));
            allow(decision, "too many requests from this address")
        }
    }
}

/// Counts a request against its client.
pub fn check_client(request: &HttpRequest, app: &AppState, client_id: ClientId) -> Result<(), ApiError> {
    match app.edge.rate_limits.client(client_id) {
        None => Ok(()),
        Some(decision) => {
            request.extensions_mut().insert(RateLimitDecision("client", decision));
            allow(decision, "too many requests of this client")
        }
    }
}

/// Whether the address may try another key.
pub fn check_wrong_keys(request: &HttpRequest, app: &AppState) -> Result<(), ApiError> {
    let decision = address(request).and_then(|address| app.edge.rate_limits.may_try_key(address));
    decision.map_or(Ok(()), |decision| allow(decision, "too many wrong API keys from this address"))
}

/// The address sent a wrong key.
pub fn record_wrong_key(request: &HttpRequest, app: &AppState) {
    if let Some(address) = address(request) {
        app.edge.rate_limits.record_wrong_key(address);
    }
}

/// Whether the address may try another coupon code.
pub fn check_wrong_codes(request: &HttpRequest, app: &AppState) -> Result<(), ApiError> {
    let decision = address(request).and_then(|address| app.edge.rate_limits.may_try_code(address));
    decision.map_or(Ok(()), |decision| allow(decision, "too many unknown coupon codes from this address"))
}

/// Counts a refusal that says that a code is none. A used-up promotion is no failure of the client.
pub fn record_refusal(request: &HttpRequest, app: &AppState, error: &ApiError) {
    let is_wrong_code = matches!(error.reason(), Reason::CouponUnknown | Reason::CouponMalformed);
    if let (true, Some(address)) = (is_wrong_code, address(request)) {
        app.edge.rate_limits.record_wrong_code(address);
    }
}

fn address(request: &HttpRequest) -> Option<IpAddr> {
    request.extensions().get::<ClientAddress>().map(|address| address.0)
}

fn allow(decision: Decision, message: &str) -> Result<(), ApiError> {
    if decision.is_allowed { Ok(()) } else { Err(ApiError::rate_limited(message, decision.reset)) }
}

/// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10).
pub fn write_headers(request: &HttpRequest, headers: &mut HeaderMap) {
    const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
    const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
    let Some(RateLimitDecision(name, decision)) = request.extensions().get::<RateLimitDecision>().copied()
    else {
        return;
    };
    let seconds = decision.reset.as_secs_f64().ceil();
    let window = RateLimits::BURST_SECONDS;
    let policy = format!("\"{name}\";q={};w={window}", decision.quota);
    let limit = format!("\"{name}\";r={};t={seconds}", decision.remaining);
    if let (Ok(policy), Ok(limit)) = (HeaderValue::from_str(&policy), HeaderValue::from_str(&limit)) {
        headers.insert(POLICY, policy);
        headers.insert(LIMIT, limit);
    }
}
