//! An order as clients see it.

use domain::{Order, OrderId, OrderLine, OrderSnapshot, ProductId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::json::{Amount, ProductBody, ProductIdText, as_text};

/// An order: what was sent, what was sold, what it costs. Its prices stay what they were when it was placed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Order, examples(json!({
    "id": "01990a4c-5a00-7000-8000-000000000001",
    "items": [{"productId": "1", "quantity": 2}, {"productId": "3", "quantity": 1}],
    "products": [
        {"id": "1", "name": "Chicken Waffle", "price": 12.99, "category": "Waffle"},
        {"id": "3", "name": "Blueberry Pancakes", "price": 9.99, "category": "Pancakes"},
    ],
    "subtotal": 35.97, "discounts": 0.0, "total": 35.97, "status": "placed", "createdAt": "2025-09-02T12:00:00.000Z",
})))]
pub struct OrderBody<'o> {
    /// A UUID of version 7: later orders have greater ones.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String, format = "uuid")]
    id: OrderId,
    /// The lines as they were sent.
    items: Vec<ItemBody>,
    /// For each of the lines its product as it was sold.
    products: Vec<ProductBody<'o>>,
    /// What the lines cost together.
    subtotal: Amount,
    /// What the coupon code takes off; 0.00 without one.
    discounts: Amount,
    /// What is to be paid: subtotal less discounts.
    total: Amount,
    /// The code that was sent, where one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    coupon_code: Option<&'o str>,
    /// How far the order has come. More values may be added.
    #[schema(examples("placed"))]
    status: &'o str,
    /// When it was placed (RFC 3339, UTC), to the millisecond.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// A line of a cart: so many of a product.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OrderItem, examples(json!({"productId": "1", "quantity": 2})))]
pub struct ItemBody {
    /// The product's `id`. One that is not on the menu is refused with 422.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = ProductIdText)]
    product_id: ProductId,
    /// How many of it.
    #[schema(minimum = 1, maximum = 1000)]
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
            status: order.status.as_str(),
            created_at: order.created_at,
        }
    }
}

/// An order as JSON.
pub fn order_json(order: &Order) -> Vec<u8> {
    // Numbers, strings and structs of them: there is nothing in it that JSON cannot say.
    serde_json::to_vec(&OrderBody::from(order)).unwrap_or_default()
}
