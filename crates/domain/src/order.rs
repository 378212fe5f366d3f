//! Orders: what was asked for, and what it cost at that moment.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::{NoContext, Timestamp as UuidTimestamp, Uuid};

use crate::{ClientId, CouponCode, Money, OrderStatus, Product, ProductId, ProductImage, Timestamp};

/// The id of an order: a UUIDv7 (RFC 9562), so ids sort by the millisecond of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(Uuid);

impl OrderId {
    /// A new id for an order created at `moment`.
    pub fn new(moment: Timestamp) -> Self {
        let millis = u64::try_from(moment.millis()).unwrap_or(0);
        let sub_millis = u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000;
        Self(Uuid::new_v7(UuidTimestamp::from_unix(NoContext, millis / 1000, sub_millis)))
    }

    /// The id that is stored or was sent; any UUID can be asked for.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The UUID itself.
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// How many units of a product one line asks for: 1 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Quantity(u16);

/// The number is not a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be between 1 and {}", Quantity::MAX)]
pub struct QuantityError;

impl Quantity {
    /// The most units one line can ask for.
    pub const MAX: u16 = 1000;

    /// The number of units.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<i64> for Quantity {
    type Error = QuantityError;

    fn try_from(units: i64) -> Result<Self, QuantityError> {
        match u16::try_from(units) {
            Ok(units @ 1..=Self::MAX) => Ok(Self(units)),
            _ => Err(QuantityError),
        }
    }
}

impl From<Quantity> for i64 {
    fn from(quantity: Quantity) -> Self {
        Self::from(quantity.0)
    }
}

/// One line of a cart: a product and how many of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OrderItem {
    /// Which product.
    pub product_id: ProductId,
    /// How many units.
    pub quantity: Quantity,
}

impl OrderItem {
    /// The most lines one order can have.
    pub const MAX_LINES: usize = 100;
}

/// One line of a placed order, with the product as it was sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderLine {
    /// Which product.
    pub product_id: ProductId,
    /// How many units.
    pub quantity: Quantity,
    /// Price of one unit as charged.
    pub unit_price_cents: Money,
    /// This line's part of the order's discount.
    pub discount_cents: Money,
    /// The product's name then.
    pub name: Arc<str>,
    /// The product's category then.
    pub category: Arc<str>,
    /// The product's picture then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Arc<ProductImage>>,
}

impl OrderLine {
    /// A line selling `quantity` of `product` at its present price, without discount.
    pub fn sell(product: &Product, quantity: Quantity) -> Self {
        Self {
            product_id: product.id,
            quantity,
            unit_price_cents: product.price,
            discount_cents: Money::ZERO,
            name: product.name.clone(),
            category: product.category.clone(),
            image: product.image.clone(),
        }
    }

    /// Price of all units, before discount.
    pub fn subtotal(&self) -> Money {
        self.unit_price_cents.times(self.quantity.into())
    }
}

/// Everything about an order that never changes again, however the menu moves: stored with it as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderSnapshot {
    /// Version of this layout; readers know every version ever written.
    #[serde(rename = "v")]
    pub version: u8,
    /// The lines in the order they were sent.
    pub lines: Vec<OrderLine>,
    /// Sum of the lines before discount.
    pub subtotal_cents: Money,
    /// What the coupon took off.
    pub discount_cents: Money,
    /// What is to be paid: subtotal less discount.
    pub total_cents: Money,
    /// The code as sent, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon_code: Option<CouponCode>,
}

impl OrderSnapshot {
    /// The layout written today.
    pub const VERSION: u8 = 1;

    /// A snapshot of lines that carry their part of the discount already.
    pub fn of(lines: Vec<OrderLine>, coupon_code: Option<CouponCode>) -> Self {
        let subtotal_cents = lines.iter().map(OrderLine::subtotal).sum();
        let discount_cents = lines.iter().map(|line| line.discount_cents).sum();
        Self {
            version: Self::VERSION,
            subtotal_cents,
            discount_cents,
            total_cents: subtotal_cents - discount_cents,
            lines,
            coupon_code,
        }
    }
}

/// An order as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Who placed it.
    pub client_id: ClientId,
    /// Where it is in its life.
    pub status: OrderStatus,
    /// When it was placed.
    pub created_at: Timestamp,
    /// What was sold.
    pub snapshot: OrderSnapshot,
}

impl Order {
    /// A new order, placed at `moment`.
    pub fn place(client_id: ClientId, snapshot: OrderSnapshot, moment: Timestamp) -> Self {
        // The millisecond in the id and the stored time are the same one.
        let created_at = Timestamp::from_micros(moment.millis() * 1000);
        Self { id: OrderId::new(created_at), client_id, status: OrderStatus::Placed, created_at, snapshot }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_end_at_their_bounds() {
        for units in [i64::MIN, -1, 0, 1001, 65_537, i64::MAX] {
            assert_eq!(Quantity::try_from(units), Err(QuantityError), "{units}");
        }
        for units in [1, 1000] {
            assert_eq!(Quantity::try_from(units).map(i64::from), Ok(units));
        }
    }

    #[test]
    fn ids_carry_the_millisecond_and_sort_by_it() {
        let moment = Timestamp::from_micros(1_795_000_000_123_456);
        let id = OrderId::new(moment);
        let (seconds, nanos) = id.uuid().get_timestamp().unwrap().to_unix();
        assert_eq!(i64::try_from(seconds).unwrap() * 1000 + i64::from(nanos / 1_000_000), moment.millis());
        assert!(id < OrderId::new(Timestamp::from_micros(moment.micros() + 1000)));
    }

    #[test]
    fn the_largest_order_adds_up() {
        let product = Product {
            id: ProductId::new(1),
            name: "Gold leaf".into(),
            price: Money::MAX_PRICE,
            category: "Dessert".into(),
            image: None,
        };
        let line = OrderLine::sell(&product, Quantity::try_from(1000).unwrap());
        let snapshot = OrderSnapshot::of(vec![line; OrderItem::MAX_LINES], None);
        assert_eq!(snapshot.total_cents.cents(), 99_999_999_900_000);
    }

    #[test]
    fn the_stored_layout_does_not_move() {
        let stored = r#"{"v":1,"lines":[{"productId":1,"quantity":2,"unitPriceCents":1299,"discountCents":0,"name":"Chicken Waffle","category":"Waffle"}],"subtotalCents":2598,"discountCents":0,"totalCents":2598}"#;
        let snapshot: OrderSnapshot = serde_json::from_str(stored).unwrap();
        assert_eq!(serde_json::to_string(&snapshot).unwrap(), stored);
    }
}
