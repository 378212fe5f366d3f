//! `POST /api/order/quote`

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::OrderSnapshot;
use serde::Serialize;
use utoipa::ToSchema;

use super::response::{ItemBody, items, products};
use crate::handler::order::request::{RawOrder, decode_cart};
use crate::http::authorized::{CreateOrder, MaybeAuthorized};
use crate::http::body::read_json;
use crate::http::error::ApiError;
use crate::http::json::{Amount, ProductBody};
use crate::http::rate_limit;
use crate::http::reason::Reason;
use crate::state::AppState;

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
    MaybeAuthorized { caller, .. }: MaybeAuthorized<CreateOrder>,
    request: HttpRequest,
    mut payload: Payload,
    app: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let body = read_json(&request, &mut payload).await?;
    let cart = decode_cart(&request, &app, &body)?;
    let snapshot = app.ordering.quote(caller, cart).await.map_err(ApiError::from);
    let snapshot = snapshot.inspect_err(|error| rate_limit::record_refusal(&request, &app, error))?;
    Ok(HttpResponse::Ok().json(QuoteBody::from(&snapshot)))
}
