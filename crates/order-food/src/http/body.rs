//! Request bodies: size, media type, bytes; in that order.

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::web::{BytesMut, Payload};
use actix_web::{HttpMessage, HttpRequest};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::error::ApiError;
use super::reason::Reason;
use super::request_context::RequestContext;

/// The largest body there is a use for: 100 lines are 5 KiB.
pub const MAX_BYTES: usize = 64 * 1024;

/// How long a client may take to send one.
const DEADLINE: Duration = Duration::from_secs(5);

/// Reads a body that must be JSON.
pub async fn read_json(request: &HttpRequest, payload: &mut Payload) -> Result<BytesMut, ApiError> {
    let declared =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let declared: usize = declared.unwrap_or(0);
    if declared > MAX_BYTES {
        return Err(too_large());
    }
    if !is_json(request) {
        let message = "send the body as Content-Type: application/json";
        return Err(ApiError::new(Reason::UnsupportedMediaType, message));
    }
    if is_coded(request) {
        let message = "send the body as it is, without Content-Encoding";
        return Err(ApiError::new(Reason::UnsupportedMediaType, message));
    }
    let body = timeout(DEADLINE, read(payload, declared));
    let body = body.await.unwrap_or_else(|_| Err(ApiError::of_framework(StatusCode::REQUEST_TIMEOUT)))?;
    if let Some(context) = request.extensions().get::<RequestContext>() {
        context.record_body_read();
    }
    Ok(body)
}

async fn read(payload: &mut Payload, declared: usize) -> Result<BytesMut, ApiError> {
    let mut body = BytesMut::with_capacity(declared);
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|_| ApiError::new(Reason::BadRequest, "the body ended early or was garbled"))?;
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn too_large() -> ApiError {
    ApiError::new(Reason::PayloadTooLarge, format!("the body is larger than {MAX_BYTES} bytes"))
}

/// `application/json`, with or without parameters; a charset other than UTF-8 cannot be JSON (RFC 8259, section 8.1).
fn is_json(request: &HttpRequest) -> bool {
    let mut content_types = request.headers().get_all(header::CONTENT_TYPE);
    // Two readers of two types may see two different bodies.
    let (Some(content_type), None) = (content_types.next(), content_types.next()) else { return false };
    let Ok(content_type) = content_type.to_str() else { return false };
    let mut parts = content_type.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
        !name.trim().eq_ignore_ascii_case("charset") || is_utf8(value.trim().trim_matches(['"', '\'']).trim())
    });
    is_json && is_utf8
}

/// Whether it is a name of UTF-8 (Encoding standard, section 4.2).
fn is_utf8(charset: &str) -> bool {
    ["utf-8", "utf8", "unicode-1-1-utf-8"].iter().any(|name| charset.eq_ignore_ascii_case(name))
}

/// Whether the body is compressed: none that this server reads.
fn is_coded(request: &HttpRequest) -> bool {
    let mut codings = request.headers().get_all(header::CONTENT_ENCODING);
    codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}
