//! `POST /api/order`

use actix_web::http::header::ContentType;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use telemetry::traces;
use tracing::Span;

use crate::handler::order::request::{RawOrder, decode_cart};
use crate::handler::order::response::OrderBody;
use crate::http::authorized::{Authorized, CreateOrder};
use crate::http::body::read_json;
use crate::http::error::ApiError;
use crate::http::fault;
use crate::http::idempotency::idempotency_key;
use crate::http::rate_limit;
use crate::http::reason::Reason;
use crate::state::AppState;

/// Why an order may be refused.
pub const REFUSALS: &[Reason] = &[
    Reason::BadRequest,
    Reason::InvalidJson,
    Reason::ValidationFailed,
    Reason::IdempotencyKeyInvalid,
    Reason::MissingApiKey,
    Reason::InvalidApiKey,
    Reason::InsufficientScope,
    Reason::IdempotencyInProgress,
    Reason::PayloadTooLarge,
    Reason::UnsupportedMediaType,
    Reason::UnknownProduct,
    Reason::CouponUnknown,
    Reason::CouponMalformed,
    Reason::CouponNotStarted,
    Reason::CouponExpired,
    Reason::CouponLimitReached,
    Reason::CouponClientLimitReached,
    Reason::CouponMinimumNotMet,
    Reason::IdempotencyKeyReused,
    Reason::RateLimited,
    Reason::DatabaseUnavailable,
    Reason::OutcomeUnknown,
    Reason::Overloaded,
    Reason::Internal,
];

/// Place an order.
///
/// Needs the scope `create_order`. Checked in this order: key, size, media type, JSON, shape and limits (400), rules (422). The answer comes after the order is stored durably. With an `Idempotency-Key` the same request can be sent again safely.
#[utoipa::path(
    post, path = "/api/order", operation_id = "placeOrder", tag = "order",
    params((
        "Idempotency-Key" = Option<String>, Header, pattern = "^[!-~]{1,255}$", nullable = false,
        description = "Names this order for the client that sends it, for 24 hours at least: the same request under the \
            same key gets the first answer again, byte for byte, and another request under it is refused.",
    )),
    request_body = RawOrder<'static>,
    responses((
        status = 200, description = "The order is stored.", body = OrderBody<'static>,
        headers(("Idempotent-Replayed" = String, description = "`true` where this is the answer to an earlier request.")),
    )),
    security(("api_key" = ["create_order"]), ("x_api_key" = ["create_order"])),
)]
pub async fn place(
    Authorized { caller, .. }: Authorized<CreateOrder>,
    request: HttpRequest,
    mut payload: Payload,
    app: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let key = idempotency_key(request.headers())?;
    let body = read_json(&request, &mut payload).await?;
    let cart = telemetry::span!("order.validate").in_scope(|| decode_cart(&request, &app, &body))?;
    let span = Span::current();
    traces::add_event(&span, "validated", || {
        [("order.lines", i64::try_from(cart.items.len()).unwrap_or(i64::MAX).into())]
    });
    let placed = app.ordering.place(caller, cart, key).await.map_err(ApiError::from);
    let placed = placed.inspect_err(|error| rate_limit::record_refusal(&request, &app, error))?;
    if traces::is_kept(&span) {
        traces::set(&span, "order.id", placed.id.to_string());
    }
    fault::after_commit(&request, &app);
    let mut response = HttpResponse::Ok();
    if placed.is_replay {
        response.insert_header(("Idempotent-Replayed", "true"));
    }
    Ok(response.insert_header(ContentType::json()).body(placed.body))
}
