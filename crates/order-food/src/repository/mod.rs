//! What the services ask of the database. One trait for each aggregate, held as `Arc<dyn …>`; driver errors are
//! translated here and nowhere else.

mod changes;
mod client;
mod keys;
mod menu;
mod orders;
mod promotions;
pub mod writer;

use async_trait::async_trait;
use bytes::Bytes;
use database::Unusable;
use database_migration::SchemaState;
use domain::{
    ApiKeyHash, ClientId, CodeSet, CouponCode, IdempotencyKey, Money, Order, OrderId, Product, Promotion,
    Scopes, Timestamp,
};
use uuid::Uuid;

pub use changes::SqlChanges;
pub use client::Client;
pub use keys::SqlKeys;
pub use menu::SqlMenu;
pub use orders::SqlOrders;
pub use promotions::SqlPromotions;

/// Which error type lives where: repositories return this one, which says what a failure means and keeps the driver's
/// error for the log; services return theirs, which say what it means to the business; handlers turn those into
/// [`crate::handler::error::ApiError`], the only one that clients see.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The database is away, full up or too slow. What was asked for was not done.
    #[error("the database is unavailable")]
    Unavailable(#[source] Option<sqlx::Error>),
    /// The database went away while a write was under way: it is stored or not.
    #[error("the outcome of a write is unknown")]
    OutcomeUnknown(#[source] Option<sqlx::Error>),
    /// So many orders wait already that this one would not be served in time. It was not stored.
    #[error("the queue of the order writer is full")]
    QueueFull,
    /// Another order with the same idempotency key is under way, and stayed so. This one was not stored.
    #[error("another order with the same idempotency key is under way")]
    KeyInProgress,
    /// The database refused this one order; the writer has logged why. It was not stored.
    #[error("the database refused an order")]
    Refused,
    /// A row says what no program of ours would write.
    #[error("{table} holds a row that cannot be read ({what})")]
    Inconsistent {
        /// Which table.
        table: &'static str,
        /// Which row, and what is wrong with it.
        what: String,
    },
    /// Anything else: a fault of this program or of the schema.
    #[error("the database refused a statement")]
    Other(#[source] sqlx::Error),
}

impl RepositoryError {
    /// What metrics and traces call it (`error.type`).
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::OutcomeUnknown(_) => "outcome_unknown",
            Self::QueueFull => "queue_full",
            Self::KeyInProgress => "key_in_progress",
            Self::Refused => "refused",
            Self::Inconsistent { .. } => "inconsistent",
            Self::Other(_) => "other",
        }
    }
}

impl RepositoryError {
    /// The driver's error.
    pub(super) const fn cause(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Unavailable(cause) | Self::OutcomeUnknown(cause) => cause.as_ref(),
            Self::Other(cause) => Some(cause),
            Self::QueueFull | Self::KeyInProgress | Self::Refused | Self::Inconsistent { .. } => None,
        }
    }

    /// Advice for the owner of the database, if only the owner can mend it.
    pub fn advice(&self) -> Option<&'static str> {
        self.cause().and_then(database::advice)
    }

    /// Why a database that answers cannot be used, if that is the error.
    pub fn unusable(&self) -> Option<Unusable> {
        match self {
            Self::Unavailable(cause) => cause.as_ref().and_then(Unusable::of),
            Self::OutcomeUnknown(_)
            | Self::QueueFull
            | Self::KeyInProgress
            | Self::Refused
            | Self::Inconsistent { .. }
            | Self::Other(_) => None,
        }
    }
}

impl From<sqlx::Error> for RepositoryError {
    fn from(error: sqlx::Error) -> Self {
        if database::is_unavailable(&error) { Self::Unavailable(Some(error)) } else { Self::Other(error) }
    }
}

/// The menu.
#[async_trait]
pub trait MenuRepository: Send + Sync {
    /// Every product that is sold, by id.
    async fn products(&self) -> Result<Vec<Product>, RepositoryError>;
}

/// One usable API key.
#[derive(Debug, Clone)]
pub struct StoredKey {
    /// Its number.
    pub id: i64,
    /// What the key hashes to.
    pub hash: ApiKeyHash,
    /// Under which pepper.
    pub pepper_fingerprint: Vec<u8>,
    /// Whose it is.
    pub client_id: ClientId,
    /// What it allows.
    pub scopes: Scopes,
    /// Until when.
    pub expires_at: Option<Timestamp>,
}

/// API keys.
#[async_trait]
pub trait KeyRepository: Send + Sync {
    /// Every key that is neither revoked nor retired.
    async fn keys(&self) -> Result<Vec<StoredKey>, RepositoryError>;
    /// Notes when keys, by their number, were last used.
    async fn note_use(&self, uses: &[(i64, Timestamp)]) -> Result<(), RepositoryError>;
}

/// Promotions and the codes of the coupon files.
#[async_trait]
pub trait PromotionRepository: Send + Sync {
    /// Every promotion that is not retired, inactive ones too.
    async fn promotions(&self) -> Result<Vec<Promotion>, RepositoryError>;
    /// Every code of the published set.
    async fn corpus(&self) -> Result<CodeSet, RepositoryError>;
    /// How often counters were used; those that never were are left out.
    async fn used(&self, counters: &[&str]) -> Result<Vec<(String, i64)>, RepositoryError>;
}

/// An order to be stored, with everything that is decided in the same transaction.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// The order; its id is fixed, whatever has to be tried again.
    pub order: Order,
    /// Its snapshot as it is stored.
    pub snapshot_json: String,
    /// The key it was sent with.
    pub idempotency: Option<KeyClaim>,
    /// Where its coupon code comes from, if it has one.
    pub coupon: Option<CouponSource>,
    /// The promotion it uses.
    pub redemption: Option<Redemption>,
}

/// Where a coupon code comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CouponSource {
    /// A promotion.
    Promotion,
    /// The coupon files.
    CouponFiles,
}

impl NewOrder {
    /// Whether there is nothing to store but the order.
    pub const fn is_plain(&self) -> bool {
        self.idempotency.is_none() && self.redemption.is_none()
    }

    /// Whether storing it may have to wait for another transaction.
    pub fn takes_locks(&self) -> bool {
        self.idempotency.is_some() || self.is_limited()
    }

    /// Whether its promotion can be used up: everyone who wants a use of it waits for everyone else.
    pub fn is_limited(&self) -> bool {
        self.limits().next().is_some()
    }

    /// The limits that it counts against.
    pub fn limits(&self) -> impl Iterator<Item = &UseLimit> {
        self.redemption.iter().flat_map(|redemption| &redemption.limits)
    }

    /// About how many bytes go to the database.
    pub fn size_bytes(&self) -> usize {
        const REST: usize = 128;
        REST + self.snapshot_json.len() + self.idempotency.as_ref().map_or(0, |claim| claim.response.len())
    }
}

/// An idempotency key on an order.
#[derive(Debug, Clone)]
pub struct KeyClaim {
    /// The key.
    pub key: IdempotencyKey,
    /// Hash of the request as parsed: the same key with another request is refused.
    pub request_hash: [u8; 32],
    /// What this order is going to be answered with, and every repetition of it.
    pub response: Bytes,
}

/// The use of a promotion by an order.
#[derive(Debug, Clone)]
pub struct Redemption {
    /// Which promotion.
    pub code: CouponCode,
    /// What it takes off.
    pub discount: Money,
    /// The limits that it counts against.
    pub limits: Vec<UseLimit>,
}

/// A named counter that may only go so high.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseLimit {
    /// The counter's name.
    pub counter: String,
    /// The highest count.
    pub most: i64,
    /// What it limits.
    pub kind: LimitKind,
}

/// What a limit limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitKind {
    /// All uses of a promotion.
    Total,
    /// One client's uses of it.
    PerClient,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderPlacement {
    /// It is stored, durably.
    Stored,
    /// The same request was answered before, with these bytes.
    Replayed {
        /// The order that was placed then.
        id: OrderId,
        /// The answer.
        body: Bytes,
    },
    /// The key was used for another request.
    KeyReused,
    /// The promotion may not be used any more.
    LimitReached(LimitKind),
}

/// What was answered to an order with an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct StoredAnswer {
    /// Hash of the request.
    pub request_hash: Vec<u8>,
    /// The order that has the key.
    pub order_id: Uuid,
    /// The bytes.
    pub response: Vec<u8>,
}

impl StoredAnswer {
    /// What it means for an order `id` with the same key.
    pub fn meets(&self, id: Uuid, request_hash: &[u8; 32]) -> OrderPlacement {
        if self.order_id == id {
            OrderPlacement::Stored
        } else if self.request_hash == request_hash {
            OrderPlacement::Replayed {
                id: OrderId::from_uuid(self.order_id),
                body: self.response.clone().into(),
            }
        } else {
            OrderPlacement::KeyReused
        }
    }
}

/// Whose orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderOwner {
    /// One client's.
    Client(ClientId),
    /// Everybody's, for administrators.
    Anyone,
}

/// Orders.
#[async_trait]
pub trait OrderRepository: Send + Sync {
    /// Stores a new order with its key and redemption, all or nothing. [`OrderPlacement::Stored`] means that it is
    /// durable.
    async fn place(&self, order: NewOrder) -> Result<OrderPlacement, RepositoryError>;
    /// What was answered to the order that was placed with that key, if one was.
    async fn answer(
        &self,
        client_id: ClientId,
        key: &IdempotencyKey,
    ) -> Result<Option<StoredAnswer>, RepositoryError>;
    /// Forgets at most `limit` keys from before `before`, and says how many it were.
    async fn prune_keys(&self, before: Timestamp, limit: u32) -> Result<u64, RepositoryError>;
    /// The order with that id, if it is the owner's.
    async fn find(&self, id: OrderId, owner: OrderOwner) -> Result<Option<Order>, RepositoryError>;
    /// At most `limit` orders of the owner, newest first, older than `before`.
    async fn list(
        &self,
        owner: OrderOwner,
        before: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<Order>, RepositoryError>;
}

/// How often each kind of data has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct ChangeCounters {
    /// Products.
    pub menu: i64,
    /// Clients and keys.
    pub api_keys: i64,
    /// Promotions.
    pub promotions: i64,
    /// Codes of the coupon files.
    pub coupons: i64,
}

/// What a process that keeps data in memory polls.
#[async_trait]
pub trait ChangeRepository: Send + Sync {
    /// How the schema compares with what this release needs.
    async fn schema(&self) -> Result<SchemaState, RepositoryError>;
    /// The counters now.
    async fn counters(&self) -> Result<ChangeCounters, RepositoryError>;
    /// Settings of the server that may lose acknowledged orders in a crash, as `fsync=off`.
    async fn unsafe_settings(&self) -> Result<Vec<String>, RepositoryError>;
}
