//! `POST /api/order/quote`

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::{OrderSnapshot, Scope};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{ItemBody, items, products};
use crate::app::AppState;
use crate::handler::accept;
use crate::handler::authentication::{authenticate, carries_key};
use crate::handler::body::read_json;
use crate::handler::error::ApiError;
use crate::handler::json::{Amount, ProductBody};
use crate::handler::limits;
use crate::handler::order::request::RawOrder;
use crate::handler::reason::Reason;

/// Why a quote may be refused.
pub const REFUSALS: &[Reason] = &[
    Reason::BadRequest,
    Reason::InvalidJson,
    Reason::ValidationFailed,
    Reason::InvalidApiKey,
    Reason::InsufficientScope,
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
    Reason::RateLimited,
    Reason::DatabaseUnavailable,
    Reason::Overloaded,
    Reason::Internal,
];

/// What a cart would cost now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Quote, examples(json!({
    "items": [{"productId": "1", "quantity": 2}, {"productId": "3", "quantity": 1}],
    "products": [
        {"id": "1", "name": "Chicken Waffle", "price": 12.99, "category": "Waffle"},
        {"id": "3", "name": "Blueberry Pancakes", "price": 9.99, "category": "Pancakes"},
    ],
    "subtotal": 35.97, "discounts": 3.6, "total": 32.37, "couponCode": "SAVE10",
})))]
pub struct QuoteBody<'o> {
    /// The lines as they were sent.
    items: Vec<ItemBody>,
    /// For each of the lines its product as it is sold now.
    products: Vec<ProductBody<'o>>,
    /// What the lines cost together.
    subtotal: Amount,
    /// What the coupon code takes off; 0.00 without one.
    discounts: Amount,
    /// What would be to pay: subtotal less discounts.
    total: Amount,
    /// The code that was sent, where one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    coupon_code: Option<&'o str>,
}

impl<'o> From<&'o OrderSnapshot> for QuoteBody<'o> {
    fn from(snapshot: &'o OrderSnapshot) -> Self {
        Self {
            items: items(snapshot),
            products: products(snapshot),
            subtotal: Amount(snapshot.subtotal_cents),
            discounts: Amount(snapshot.discount_cents),
            total: Amount(snapshot.total_cents),
            coupon_code: snapshot.coupon_code.as_ref().map(domain::CouponCode::as_str),
        }
    }
}

/// Price a cart.
///
/// Prices it as an order would be priced, and stores nothing. Needs no key; with one (scope `create_order`), the client's own use of a promotion counts too.
#[utoipa::path(
    post, path = "/api/order/quote", operation_id = "quoteOrder", tag = "order",
    request_body = RawOrder<'static>,
    responses((status = 200, description = "What the cart would cost now.", body = QuoteBody<'static>)),
    security((), ("api_key" = ["create_order"]), ("x_api_key" = ["create_order"])),
)]
pub async fn quote(
    request: HttpRequest,
    mut payload: Payload,
    app: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    accept::check_json(request.headers())?;
    let caller = if carries_key(request.headers()) {
        Some(authenticate(&request, &app, Scope::CreateOrder)?)
    } else {
        None
    };
    let body = read_json(&request, &mut payload).await?;
    let cart = limits::decode_cart(&request, &app, &body)?;
    let snapshot = app.ordering.quote(caller, cart).await.map_err(ApiError::from);
    let snapshot = snapshot.inspect_err(|error| limits::note_refusal(&request, &app, error))?;
    Ok(HttpResponse::Ok().json(QuoteBody::from(&snapshot)))
}
