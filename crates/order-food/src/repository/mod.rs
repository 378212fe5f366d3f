//! What the services ask of the database. One trait for each aggregate, held as `Arc<dyn …>`; driver errors are
//! translated here and nowhere else.

mod changes;
mod keys;
mod menu;
mod orders;

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use database_migration::SchemaState;
use domain::{ApiKeyHash, ClientId, Order, OrderId, Product, Scopes, Timestamp};

pub use changes::SqlChanges;
pub use keys::SqlKeys;
pub use menu::SqlMenu;
pub use orders::SqlOrders;

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

impl From<sqlx::Error> for RepositoryError {
    fn from(error: sqlx::Error) -> Self {
        if database::is_unavailable(&error) { Self::Unavailable(Some(error)) } else { Self::Other(error) }
    }
}

/// The longest a statement may take before its request is answered without it.
const STATEMENT_DEADLINE: Duration = Duration::from_millis(1500);

/// Runs a read with the deadline that every call to the database has.
async fn reading<T>(
    statement: impl Future<Output = Result<T, RepositoryError>>,
) -> Result<T, RepositoryError> {
    tokio::time::timeout(STATEMENT_DEADLINE, statement)
        .await
        .unwrap_or(Err(RepositoryError::Unavailable(None)))
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
    /// Stores a new order. `Ok` means that it is durable.
    async fn insert(&self, order: &Order) -> Result<(), RepositoryError>;
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
}

/// What a process that keeps data in memory polls.
#[async_trait]
pub trait ChangeRepository: Send + Sync {
    /// How the schema compares with what this release needs.
    async fn schema(&self) -> Result<SchemaState, RepositoryError>;
    /// The counters now.
    async fn counters(&self) -> Result<ChangeCounters, RepositoryError>;
}
