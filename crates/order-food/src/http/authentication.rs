//! Which key a request carries.

use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::{HttpMessage, HttpRequest};
use domain::Scope;

use super::error::ApiError;
use super::rate_limit;
use super::reason::Reason;
use super::request_context::RequestContext;
use crate::service::{Caller, KeyRefused};
use crate::state::AppState;

const HEADERS: [HeaderName; 2] = [HeaderName::from_static("api_key"), HeaderName::from_static("x-api-key")];

/// The caller's key must be good for `scope`. The log names the caller.
pub fn authenticate(request: &HttpRequest, app: &AppState, scope: Scope) -> Result<Caller, ApiError> {
    let key = presented_key(request.headers())?;
    rate_limit::check_wrong_keys(request, app)?;
    let caller = app.catalogue.api_keys.authenticate(key, scope).inspect_err(|refused| {
        if *refused == KeyRefused::Invalid {
            rate_limit::record_wrong_key(request, app);
        }
    })?;
    if let Some(context) = request.extensions().get::<RequestContext>() {
        context.set_client(caller.client_id);
    }
    rate_limit::check_client(request, app, caller.client_id)?;
    Ok(caller)
}

/// Whether the request carries a key, good or not.
pub fn carries_key(headers: &HeaderMap) -> bool {
    HEADERS.into_iter().flat_map(|name| headers.get_all(name)).any(|key| !key.is_empty())
}

/// `api_key` is the name in the public API that this one follows; proxies that drop names with underscores leave
/// `X-API-Key`.
fn presented_key(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut keys = HEADERS.into_iter().flat_map(|name| headers.get_all(name)).filter(|key| !key.is_empty());
    let key = keys.next().ok_or_else(ApiError::missing_api_key)?;
    if keys.any(|other| other != key) {
        return Err(ApiError::new(Reason::BadRequest, "the request carries two different API keys"));
    }
    key.to_str()
        .map_err(|_| ApiError::new(Reason::InvalidApiKey, "the API key is unknown, expired or revoked"))
}
