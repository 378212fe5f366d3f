//! An order on its way into storage: everything that one transaction decides, and what can become of it.

use bytes::Bytes;
use uuid::Uuid;

use crate::{ClientId, CouponCode, IdempotencyKey, Money, Order, OrderId};

/// An order to be stored, with everything that is decided in the same transaction.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// The order. Its id stays the same in every attempt to store it.
    pub order: Order,
    /// The snapshot as it is stored.
    pub snapshot_json: String,
    /// The idempotency key of the request.
    pub idempotency: Option<KeyClaim>,
    /// The source of the coupon code.
    pub coupon: Option<CouponSource>,
    /// The promotion that the order uses.
    pub redemption: Option<Redemption>,
    /// The counters that the order takes units of.
    pub uses: Vec<CounterUse>,
}

/// The source of a coupon code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CouponSource {
    /// A promotion.
    Promotion,
    /// The coupon files.
    CouponFiles,
}

impl NewOrder {
    /// Whether the order comes without key, promotion and uses: one row stores it.
    pub const fn is_plain(&self) -> bool {
        self.idempotency.is_none() && self.redemption.is_none() && self.uses.is_empty()
    }

    /// Whether storing the order may have to wait for another transaction.
    pub const fn takes_locks(&self) -> bool {
        self.idempotency.is_some() || self.is_limited()
    }

    /// Whether the order takes units of a counter. One transaction at a time can do so.
    pub const fn is_limited(&self) -> bool {
        !self.uses.is_empty()
    }

    /// How many units of a counter it takes altogether.
    pub fn units_of(&self, counter: &str) -> i64 {
        self.uses.iter().filter(|wanted| wanted.counter == counter).map(|wanted| wanted.units).sum()
    }

    /// About how many bytes go to the database.
    pub fn size_bytes(&self) -> usize {
        const REST: usize = 128;
        REST + self.snapshot_json.len() + self.idempotency.as_ref().map_or(0, |claim| claim.response.len())
    }
}

/// The claim of an order to an idempotency key.
#[derive(Debug, Clone)]
pub struct KeyClaim {
    /// The key.
    pub key: IdempotencyKey,
    /// The hash of the request as parsed. The same key with another request is refused.
    pub request_hash: [u8; 32],
    /// The response to this order and to every repetition of it.
    pub response: Bytes,
}

/// The use of a promotion by an order.
#[derive(Debug, Clone)]
pub struct Redemption {
    /// The code of the promotion.
    pub code: CouponCode,
    /// The amount it takes off.
    pub discount: Money,
}

/// Units that an order takes of a named counter, which may only go so high.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterUse {
    /// The name of the counter.
    pub counter: String,
    /// How many units the order takes.
    pub units: i64,
    /// The highest count.
    pub most: i64,
    /// The uses that the counter limits.
    pub kind: LimitKind,
}

/// The uses that a counter limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitKind {
    /// All uses of a promotion.
    Total,
    /// One client's uses of a promotion.
    PerClient,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// The order is stored, durably.
    Stored,
    /// An earlier order with the same key and request got this response.
    Replayed {
        /// The earlier order.
        id: OrderId,
        /// The response.
        body: Bytes,
    },
    /// The key was used for another request.
    KeyReused,
    /// The promotion is used up.
    LimitReached(LimitKind),
}

/// The response that is stored under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// The hash of the request.
    pub request_hash: Vec<u8>,
    /// The order that has the key.
    pub order_id: Uuid,
    /// The bytes.
    pub response: Bytes,
}

impl StoredResponse {
    /// What it means for the order `id` with the same key.
    pub fn placement_of(&self, id: Uuid, request_hash: &[u8; 32]) -> Placement {
        if self.order_id == id {
            Placement::Stored
        } else if self.request_hash == request_hash {
            Placement::Replayed { id: OrderId::from_uuid(self.order_id), body: self.response.clone() }
        } else {
            Placement::KeyReused
        }
    }
}

/// Whose orders may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderOwner {
    /// One client's.
    Client(ClientId),
    /// Everybody's, for administrators.
    Anyone,
}
