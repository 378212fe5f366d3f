//! An order as clients see it.

use domain::Order;
use serde::Serialize;

use crate::handler::json::{Amount, ProductBody};

/// An order as clients see it: what was sent, what was sold, what it costs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderBody<'o> {
    id: String,
    items: Vec<ItemBody>,
    products: Vec<ProductBody<'o>>,
    subtotal: Amount,
    discounts: Amount,
    total: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    coupon_code: Option<&'o str>,
    status: &'o str,
    created_at: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemBody {
    product_id: String,
    quantity: u16,
}

impl<'o> From<&'o Order> for OrderBody<'o> {
    fn from(order: &'o Order) -> Self {
        let snapshot = &order.snapshot;
        let item = |line: &domain::OrderLine| ItemBody {
            product_id: line.product_id.to_string(),
            quantity: line.quantity.get(),
        };
        let product = |line: &'o domain::OrderLine| {
            ProductBody::new(
                line.product_id,
                &line.name,
                line.unit_price_cents,
                &line.category,
                line.image.as_ref(),
            )
        };
        Self {
            id: order.id.to_string(),
            items: snapshot.lines.iter().map(item).collect(),
            products: snapshot.lines.iter().map(product).collect(),
            subtotal: Amount(snapshot.subtotal_cents),
            discounts: Amount(snapshot.discount_cents),
            total: Amount(snapshot.total_cents),
            coupon_code: snapshot.coupon_code.as_ref().map(domain::CouponCode::as_str),
            status: &order.status,
            created_at: order.created_at.to_rfc3339(),
        }
    }
}
