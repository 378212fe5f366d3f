//! An order as clients see it.

use domain::{Order, OrderId, OrderLine, OrderSnapshot, ProductId, Timestamp};
use serde::Serialize;

use crate::handler::json::{Amount, ProductBody, as_text};

/// An order as clients see it: what was sent, what was sold, what it costs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderBody<'o> {
    #[serde(serialize_with = "as_text")]
    id: OrderId,
    items: Vec<ItemBody>,
    products: Vec<ProductBody<'o>>,
    subtotal: Amount,
    discounts: Amount,
    total: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    coupon_code: Option<&'o str>,
    status: &'o str,
    #[serde(serialize_with = "as_text")]
    created_at: Timestamp,
}

/// A line of a cart as it was sent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemBody {
    #[serde(serialize_with = "as_text")]
    product_id: ProductId,
    quantity: u16,
}

/// The lines as they were sent.
pub fn items(snapshot: &OrderSnapshot) -> Vec<ItemBody> {
    let item = |line: &OrderLine| ItemBody { product_id: line.product_id, quantity: line.quantity.get() };
    snapshot.lines.iter().map(item).collect()
}

/// The product of each line as it is sold.
pub fn products(snapshot: &OrderSnapshot) -> Vec<ProductBody<'_>> {
    fn product(line: &OrderLine) -> ProductBody<'_> {
        ProductBody::new(
            line.product_id,
            &line.name,
            line.unit_price_cents,
            &line.category,
            line.image.as_deref(),
        )
    }
    snapshot.lines.iter().map(product).collect()
}

impl<'o> From<&'o Order> for OrderBody<'o> {
    fn from(order: &'o Order) -> Self {
        let snapshot = &order.snapshot;
        Self {
            id: order.id,
            items: items(snapshot),
            products: products(snapshot),
            subtotal: Amount(snapshot.subtotal_cents),
            discounts: Amount(snapshot.discount_cents),
            total: Amount(snapshot.total_cents),
            coupon_code: snapshot.coupon_code.as_ref().map(domain::CouponCode::as_str),
            status: &order.status,
            created_at: order.created_at,
        }
    }
}

/// An order as JSON.
pub fn order_json(order: &Order) -> Vec<u8> {
    // Numbers, strings and structs of them: there is nothing in it that JSON cannot say.
    serde_json::to_vec(&OrderBody::from(order)).unwrap_or_default()
}
