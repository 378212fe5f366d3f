//! Reaching the database: its URL, pools for the API, one session for a job, the locks jobs hold, and the settings
//! that all three programs share. SQL itself lives with whoever needs it.

mod connect;
mod engine;
mod lock;
mod pools;
mod postgres;
mod postgres_url;
mod session;
pub mod settings;
mod sqlite_file;
mod unusable;
mod url;

pub use connect::{
    ConnectError, advice, is_certainly_not_done, is_unavailable, is_worth_a_retry, response_code, words,
};
pub use engine::{Connection, ConnectionRef, Engine, Statement, Transaction};
pub use lock::{JobLock, LockError};
pub use pools::{PoolUsage, PooledConnection, Pools};
pub use postgres::{Access, Backend, Setting};
pub use session::{Canceller, Session};
pub use settings::DatabaseArgs;
pub use sqlite_file::{SqliteFile, WriteAheadLog};
pub use unusable::Unusable;
pub use url::{DatabaseUrl, DatabaseUrlError};
