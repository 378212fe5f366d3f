//! Reaching the database: its URL, pools for the API, one session for a job, the locks jobs hold, and the settings
//! that all three programs share. SQL itself lives with whoever needs it.

mod connect;
mod engine;
mod lock;
mod pools;
mod session;
pub mod settings;
mod url;

pub use connect::{ConnectError, is_certainly_not_done, is_lock_timeout, is_unavailable};
pub use engine::{Connection, ConnectionRef, Engine, Statement, Transaction};
pub use lock::{JobLock, LockError};
pub use pools::{PoolUsage, PooledConnection, Pools};
pub use session::{Canceller, Session};
pub use settings::DatabaseArgs;
pub use url::{DatabaseUrl, DatabaseUrlError};
