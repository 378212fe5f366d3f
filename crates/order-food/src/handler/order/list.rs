//! `GET /api/order`

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use domain::OrderId;
use uuid::Uuid;

use super::response::OrderBody;
use crate::http::authorized::{Authorized, ReadOrders};
use crate::http::error::{ApiError, FieldError};
use crate::http::query::parameters;
use crate::http::reason::Reason;
use crate::state::AppState;

const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;

/// Why orders may not be listed.
pub const REFUSALS: &[Reason] = &[
    Reason::BadRequest,
    Reason::ValidationFailed,
    Reason::MissingApiKey,
    Reason::InvalidApiKey,
    Reason::InsufficientScope,
    Reason::RateLimited,
    Reason::DatabaseUnavailable,
    Reason::Overloaded,
    Reason::Internal,
];

/// List orders.
///
/// The caller's, newest first; a key with the scope `admin` lists everybody's. Needs the scope `read_orders`. The address of the next page is in the `Link` header (RFC 8288) only; its cursor is opaque.
#[utoipa::path(
    get, path = "/api/order", operation_id = "listOrders", tag = "order",
    params(
        ("limit" = Option<u32>, Query, nullable = false, minimum = 1, maximum = 100,
            description = "How many orders at most; 20 if not given."),
        ("cursor" = Option<String>, Query, pattern = "^[0-9a-f]{32}$", nullable = false, description = "Where to go on, from a `Link` header. What it looks like may change."),
    ),
    responses((
        status = 200, description = "A page of orders.", body = Vec<OrderBody<'static>>,
        headers(("Link" = String, description = "`<…>; rel=\"next\"`, where there are more.")),
    )),
    security(("api_key" = ["read_orders"]), ("x_api_key" = ["read_orders"])),
)]
pub async fn list(
    Authorized { caller, .. }: Authorized<ReadOrders>,
    request: HttpRequest,
    app: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let [limit, cursor] = parameters(&request, ["limit", "cursor"])?;
    let (limit, before) = parse(limit.as_deref(), cursor.as_deref())?;
    let (orders, next) = app.ordering.list(caller, before, limit).await?;
    let mut response = HttpResponse::Ok();
    if let Some(next) = next {
        let link = format!("</api/order?limit={limit}&cursor={}>; rel=\"next\"", next.uuid().simple());
        response.insert_header((header::LINK, link));
    }
    Ok(response.json(orders.iter().map(OrderBody::from).collect::<Vec<_>>()))
}

/// How many orders, and before which one.
fn parse(limit: Option<&str>, cursor: Option<&str>) -> Result<(u32, Option<OrderId>), ApiError> {
    let mut errors = Vec::new();
    let mut wrong = |pointer: &str, message: String| {
        errors.push(FieldError { pointer: pointer.to_owned(), message });
    };
    let limit = limit.map_or(Some(DEFAULT_LIMIT), decimal).filter(|limit| (1..=MAX_LIMIT).contains(limit));
    if limit.is_none() {
        wrong("?limit", format!("must be a number from 1 to {MAX_LIMIT}"));
    }
    let before = match cursor.map(position) {
        None => None,
        Some(Some(id)) => Some(id),
        Some(None) => {
            wrong("?cursor", "is not a cursor from a Link header".to_owned());
            None
        }
    };
    match limit {
        Some(limit) if errors.is_empty() => Ok((limit, before)),
        _ => Err(ApiError::validation(errors)),
    }
}

/// A number without sign and leading zeros.
fn decimal(text: &str) -> Option<u32> {
    let is_canonical = text.bytes().all(|digit| digit.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_canonical)
}

/// A cursor as this server writes it, and no other way to write the same.
fn position(cursor: &str) -> Option<OrderId> {
    let id = Uuid::try_parse(cursor).ok()?;
    (id.simple().to_string() == cursor).then(|| OrderId::from_uuid(id))
}
