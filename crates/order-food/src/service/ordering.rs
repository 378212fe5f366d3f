//! Pricing carts, placing and finding orders.

use std::sync::Arc;

use bytes::Bytes;
use domain::{
    ClientId, Clock, CouponCode, CouponSource, IdempotencyKey, KeyClaim, LimitKind, Money, NewOrder, Order,
    OrderId, OrderItem, OrderLine, OrderSnapshot, Placement, Promotion, PromotionRefused, Redemption,
    StoredResponse, Timestamp, price,
};
use sha2::{Digest, Sha256};
use storage::{Database, OrderWriter, StorageError};
use telemetry::traces;
use tracing::{Instrument, Span};

use crate::metrics::OrderingMetrics;
use crate::service::promotions::{Coupon, Promotions, uses};
use crate::service::{Caller, Menu};

/// What a client wants to order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cart {
    /// At least one line, at most [`OrderItem::MAX_LINES`].
    pub items: Vec<OrderItem>,
    /// A code, if one was sent.
    pub coupon_code: Option<CouponCode>,
}

/// Why an order was not taken.
#[derive(Debug, thiserror::Error)]
pub enum OrderRefused {
    /// The menu or the promotions have not been loaded yet.
    #[error("the menu has not been loaded yet")]
    NotReady,
    /// Products that are not on the menu, by the position of their line.
    #[error("products are not on the menu")]
    UnknownProducts(Vec<usize>),
    /// There is no such code.
    #[error("the coupon code is unknown")]
    UnknownCoupon,
    /// The promotion does not apply.
    #[error("the coupon code {0}")]
    Promotion(#[from] PromotionRefused),
    /// The promotion was used as often as it may be.
    #[error("the coupon code is used up")]
    LimitReached(LimitKind),
    /// The idempotency key was used for another order.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What is answered to an order that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its id.
    pub id: OrderId,
    /// The order as clients see it.
    pub body: Bytes,
    /// Whether it was taken earlier, with the same idempotency key.
    pub is_replay: bool,
}

/// A cart with its prices.
struct Priced {
    snapshot: OrderSnapshot,
    promotion: Option<Arc<Promotion>>,
}

impl Priced {
    /// The promotion that is used. One that takes nothing off does not count.
    fn redeemed(&self) -> Option<&Promotion> {
        self.promotion.as_deref().filter(|_| self.snapshot.discount_cents > Money::ZERO)
    }
}

/// Takes orders.
pub struct Ordering {
    menu: Arc<Menu>,
    promotions: Arc<Promotions>,
    database: Database,
    writer: OrderWriter,
    clock: Arc<dyn Clock>,
    metrics: OrderingMetrics,
    to_json: fn(&Order) -> Vec<u8>,
}

impl Ordering {
    /// Takes orders for what is on `menu`; `to_json` writes one as clients see it.
    pub fn new(
        menu: Arc<Menu>,
        promotions: Arc<Promotions>,
        database: Database,
        writer: OrderWriter,
        clock: Arc<dyn Clock>,
        metrics: OrderingMetrics,
        to_json: fn(&Order) -> Vec<u8>,
    ) -> Self {
        Self { menu, promotions, database, writer, clock, metrics, to_json }
    }

    /// Prices the cart from one state of the menu and stores the order. `Ok` means that it is durable. The same key
    /// with the same cart is answered with the same bytes for as long as keys are kept.
    pub async fn place(
        &self,
        caller: Caller,
        cart: Cart,
        key: Option<IdempotencyKey>,
    ) -> Result<Placed, OrderRefused> {
        let request_hash = key.as_ref().map(|_| request_hash(&cart));
        let now = self.clock.now();
        let priced = telemetry::span!("order.price").in_scope(|| self.price(cart, now));
        let outcome = match priced {
            Ok(priced) => self.store(caller.client_id, priced, key.clone().zip(request_hash), now).await,
            Err(refused) => Err(refused),
        };
        match (outcome, key.zip(request_hash)) {
            // What the rules refuse now they may have allowed when the key was first used.
            (Err(refused), Some((key, request_hash))) if refused.is_by_the_rules() => {
                match self.stored_response(caller.client_id, key).await? {
                    None => Err(refused),
                    Some(response) => {
                        replay(response, &request_hash).inspect(|_| self.metrics.record_replayed())
                    }
                }
            }
            (outcome, _) => outcome,
        }
    }

    /// The response that is stored under a key. To give it again acknowledges the order again, so the writer reads it
    /// and confirms it.
    async fn stored_response(
        &self,
        client_id: ClientId,
        key: IdempotencyKey,
    ) -> Result<Option<StoredResponse>, StorageError> {
        if !self.database.is_key_used(client_id, &key).await? {
            return Ok(None);
        }
        self.writer.stored_response(client_id, key).await
    }

    async fn store(
        &self,
        client_id: ClientId,
        priced: Priced,
        claim: Option<(IdempotencyKey, [u8; 32])>,
        now: Timestamp,
    ) -> Result<Placed, OrderRefused> {
        let span = Span::current();
        let total = priced.snapshot.total_cents;
        traces::add_event(&span, "priced", || [("order.total_cents", total.cents().into())]);
        let discount = priced.snapshot.discount_cents;
        let coupon = match (&priced.snapshot.coupon_code, &priced.promotion) {
            (None, _) => None,
            (Some(_), Some(_)) => Some(CouponSource::Promotion),
            (Some(_), None) => Some(CouponSource::CouponFiles),
        };
        let (redemption, uses) = match priced.redeemed() {
            None => (None, Vec::new()),
            Some(promotion) => {
                let redemption = Redemption { code: promotion.code.clone(), discount };
                (Some(redemption), uses(promotion, Some(client_id)))
            }
        };
        let order = Order::place(client_id, priced.snapshot, now);
        let body = Bytes::from((self.to_json)(&order));
        let snapshot_json = serde_json::to_string(&order.snapshot).map_err(StorageError::not_encodable)?;
        let idempotency =
            claim.map(|(key, request_hash)| KeyClaim { key, request_hash, response: body.clone() });
        let id = order.id;
        let new = NewOrder { order, snapshot_json, idempotency, coupon, redemption, uses };
        let persisting = telemetry::span!("order.persist");
        let placed = self.writer.place(new).instrument(persisting.clone()).await;
        match placed.inspect_err(|error| traces::fail(&persisting, error.name(), ""))? {
            Placement::Stored => {
                traces::add_event(&span, "persisted", || [("order.id", id.to_string().into())]);
                Ok(Placed { id, body, is_replay: false })
            }
            Placement::Replayed { id, body } => Ok(Placed { id, body, is_replay: true }),
            Placement::KeyReused => Err(OrderRefused::KeyReused),
            Placement::LimitReached(kind) => Err(OrderRefused::LimitReached(kind)),
        }
    }

    /// What the cart would cost now. Stores and reserves nothing.
    pub async fn quote(&self, caller: Option<Caller>, cart: Cart) -> Result<OrderSnapshot, OrderRefused> {
        let priced = telemetry::span!("order.price").in_scope(|| self.price(cart, self.clock.now()))?;
        if let Some(promotion) = priced.redeemed() {
            let uses = uses(promotion, caller.map(|caller| caller.client_id));
            if let Some(kind) = self.promotions.reached(&uses).await? {
                return Err(OrderRefused::LimitReached(kind));
            }
        }
        Ok(priced.snapshot)
    }

    fn price(&self, cart: Cart, now: Timestamp) -> Result<Priced, OrderRefused> {
        let menu = self.menu.current().ok_or(OrderRefused::NotReady)?;
        let mut unknown = Vec::new();
        let mut lines = Vec::with_capacity(cart.items.len());
        for (position, item) in cart.items.iter().enumerate() {
            match menu.find(item.product_id) {
                Some(entry) => lines.push(OrderLine::sell(&entry.product, item.quantity)),
                None => unknown.push(position),
            }
        }
        if !unknown.is_empty() {
            return Err(OrderRefused::UnknownProducts(unknown));
        }
        let promotion = match &cart.coupon_code {
            None => None,
            Some(code) => match self.promotions.find(code).ok_or(OrderRefused::NotReady)? {
                Coupon::Promotion(promotion) => Some(promotion),
                Coupon::Corpus => None,
                Coupon::Unknown => return Err(OrderRefused::UnknownCoupon),
            },
        };
        let snapshot = price(lines, promotion.as_deref(), cart.coupon_code, now)?;
        Ok(Priced { snapshot, promotion })
    }

    /// The order with that id, if the caller may see it.
    pub async fn find(&self, caller: Caller, id: OrderId) -> Result<Option<Order>, StorageError> {
        self.database.find_order(id, caller.visible_orders()).await
    }

    /// A page of the orders the caller may see, newest first, and the id to go on from if there are more.
    pub async fn list(
        &self,
        caller: Caller,
        before: Option<OrderId>,
        limit: u32,
    ) -> Result<(Vec<Order>, Option<OrderId>), StorageError> {
        let mut orders = self.database.list_orders(caller.visible_orders(), before, limit + 1).await?;
        let has_more = orders.len() > limit as usize;
        orders.truncate(limit as usize);
        let next = orders.last().filter(|_| has_more).map(|order| order.id);
        Ok((orders, next))
    }
}

impl OrderRefused {
    /// Whether the answer could have been another one at another time, and the key was not looked for yet: what is
    /// refused for a limit, the writer has refused, and it looks for keys.
    const fn is_by_the_rules(&self) -> bool {
        match self {
            Self::UnknownProducts(_) | Self::UnknownCoupon | Self::Promotion(_) => true,
            Self::LimitReached(_) | Self::NotReady | Self::KeyReused | Self::Storage(_) => false,
        }
    }
}

fn replay(stored: StoredResponse, request_hash: &[u8; 32]) -> Result<Placed, OrderRefused> {
    if stored.request_hash == request_hash {
        let id = OrderId::from_uuid(stored.order_id);
        Ok(Placed { id, body: stored.response, is_replay: true })
    } else {
        Err(OrderRefused::KeyReused)
    }
}

/// What was asked for, whatever way it was written: the lines in their order, and the code.
fn request_hash(cart: &Cart) -> [u8; 32] {
    let mut hash = Sha256::new();
    for item in &cart.items {
        hash.update(item.product_id.get().to_be_bytes());
        hash.update(item.quantity.get().to_be_bytes());
    }
    if let Some(code) = &cart.coupon_code {
        // Lines are 10 bytes each: this one cannot be taken for the start of another.
        hash.update([0xff]);
        hash.update(code.as_str().as_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use domain::{ProductId, Quantity};

    use super::*;

    fn cart(items: &[(i64, i64)], code: Option<&str>) -> Cart {
        let item = |&(id, quantity): &(i64, i64)| OrderItem {
            product_id: ProductId::new(id),
            quantity: Quantity::try_from(quantity).unwrap(),
        };
        Cart { items: items.iter().map(item).collect(), coupon_code: code.map(|code| code.parse().unwrap()) }
    }

    #[test]
    fn another_request_has_another_hash() {
        let carts = [
            cart(&[(1, 1)], None),
            cart(&[(1, 2)], None),
            cart(&[(2, 1)], None),
            cart(&[(1, 1), (2, 1)], None),
            cart(&[(2, 1), (1, 1)], None),
            cart(&[(1, 1)], Some("SAVE10")),
            cart(&[(1, 1)], Some("SAVE11")),
        ];
        for (at, one) in carts.iter().enumerate() {
            for other in &carts[at + 1..] {
                assert_ne!(request_hash(one), request_hash(other), "{one:?} {other:?}");
            }
        }
        assert_eq!(request_hash(&carts[5]), request_hash(&cart(&[(1, 1)], Some("SAVE10"))));
    }
}
