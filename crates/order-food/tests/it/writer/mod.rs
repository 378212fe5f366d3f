//! The order writer: what shares a batch, what does not fit into the queue, and what somebody holds up.

mod batch;
mod queue;
mod told;

use domain::{CounterUse, CouponCode, KeyClaim, LimitKind, Money, NewOrder, Redemption};

/// With a key; the answer that is kept under it names the order.
fn keyed(order: NewOrder, key: &str, request: u8) -> NewOrder {
    let response = order.order.id.to_string().into();
    let claim = KeyClaim { key: key.parse().unwrap(), request_hash: [request; 32], response };
    NewOrder { idempotency: Some(claim), ..order }
}

/// With a promotion that can be used so often, by everybody together.
fn limited(order: NewOrder, code: &str, most: i64) -> NewOrder {
    let code: CouponCode = code.parse().unwrap();
    let counter = code.as_str().to_owned();
    let uses = vec![CounterUse { counter, units: 1, most, kind: LimitKind::Total }];
    NewOrder { redemption: Some(Redemption { code, discount: Money::from_cents(1) }), uses, ..order }
}
