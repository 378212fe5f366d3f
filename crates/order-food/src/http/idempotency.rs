//! The `Idempotency-Key` of a request.

use actix_web::http::header::{HeaderMap, HeaderName};
use domain::IdempotencyKey;
use domain::idempotency::IdempotencyKeyError;

use super::error::ApiError;
use super::reason::Reason;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The key, if one was sent. More than one is refused.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, ApiError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY);
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().map_err(|_| IdempotencyKeyError).and_then(str::parse);
    match (key, values.next()) {
        (Ok(key), None) => Ok(Some(key)),
        (Ok(_), Some(_)) => Err(invalid("the header Idempotency-Key stands twice")),
        (Err(error), _) => Err(invalid(&format!("the header Idempotency-Key {error}"))),
    }
}

fn invalid(message: &str) -> ApiError {
    ApiError::new(Reason::IdempotencyKeyInvalid, message)
}
