//! `POST /api/order/quote`

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::{OrderSnapshot, Scope};
use serde::Serialize;

use super::answer::{ItemBody, items, products};
use crate::app::AppState;
use crate::handler::authentication::{authenticate, carries_key};
use crate::handler::body::read_json;
use crate::handler::error::ApiError;
use crate::handler::json::{Amount, ProductBody};
use crate::handler::limits;

/// What a cart would cost now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct QuoteBody<'o> {
    items: Vec<ItemBody>,
    products: Vec<ProductBody<'o>>,
    subtotal: Amount,
    discounts: Amount,
    total: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
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

/// Prices a cart as an order would be priced, and stores nothing. Needs no key; with one, the client's own use of a
/// promotion counts too.
pub async fn quote(
    request: HttpRequest,
    mut payload: Payload,
    app: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
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
