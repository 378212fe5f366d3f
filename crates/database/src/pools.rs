//! The API's connections.

use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Pool, Postgres, Sqlite};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::{DatabaseUrl, Engine};

/// Connections for reading and for writing. Nothing is connected before the first use.
#[derive(Debug, Clone)]
pub struct Pools(Engine<RequestPool<Postgres>, SqlitePools>);

/// SQLite has one writer at a time; its connection is apart, so that readers never wait for it.
#[derive(Debug, Clone)]
struct SqlitePools {
    reader: RequestPool<Sqlite>,
    writer: RequestPool<Sqlite>,
}

/// A pool for those who do not wait for long.
#[derive(Debug)]
struct RequestPool<DB: sqlx::Database> {
    pool: Pool<DB>,
    /// One of these is needed to ask the pool, which goes on with what it was asked when nobody waits for it any more: no
    /// more than there can be connections, so that the next one does not stand behind hundreds who are gone.
    asking: Arc<Semaphore>,
    patience: Duration,
}

/// How many connections a pool has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUsage {
    /// Which pool.
    pub name: &'static str,
    /// Connections that wait to be used.
    pub idle: u32,
    /// Connections that are in use.
    pub used: u32,
    /// The most it may have.
    pub max: u32,
}

/// A connection of a pool, given back when dropped.
pub type PooledConnection = Engine<PoolConnection<Postgres>, PoolConnection<Sqlite>>;

impl Pools {
    /// How long a request waits for a connection to a server. Nobody can tell a server that is away from one that others
    /// keep busy, and who asks one that is away is to hear of it within 250 ms.
    const SERVER_PATIENCE: Duration = Duration::from_millis(200);
    /// How long a request waits for a file, which is never away, only in use by others.
    const FILE_PATIENCE: Duration = Duration::from_secs(1);
    /// How long making a connection may take. Longer than a request waits: the connection serves the next one.
    const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

    /// Pools of at most `max_connections` connections (SQLite: readers, beside the one writer).
    pub fn open(url: &DatabaseUrl, application: &str, max_connections: u32) -> Self {
        Self(match &url.0 {
            Engine::Postgres(options) => Engine::Postgres(RequestPool::new(
                PgPoolOptions::new()
                    .max_connections(max_connections)
                    .acquire_timeout(Self::CONNECT_TIMEOUT)
                    .connect_lazy_with(DatabaseUrl::postgres_options(options, application)),
                Self::SERVER_PATIENCE,
            )),
            Engine::Sqlite(file) => {
                let options = DatabaseUrl::sqlite_options(file);
                let pool = |size, options| {
                    let pool =
                        SqlitePoolOptions::new().max_connections(size).acquire_timeout(Self::CONNECT_TIMEOUT);
                    RequestPool::new(pool.connect_lazy_with(options), Self::FILE_PATIENCE)
                };
                Engine::Sqlite(SqlitePools {
                    reader: pool(max_connections, options.clone().read_only(true)),
                    writer: pool(1, options),
                })
            }
        })
    }

    /// A connection for reading.
    pub async fn reader(&self) -> Result<PooledConnection, sqlx::Error> {
        Ok(match &self.0 {
            Engine::Postgres(pool) => Engine::Postgres(pool.acquire().await?),
            Engine::Sqlite(pools) => Engine::Sqlite(pools.reader.acquire().await?),
        })
    }

    /// A connection for writing.
    pub async fn writer(&self) -> Result<PooledConnection, sqlx::Error> {
        Ok(match &self.0 {
            Engine::Postgres(pool) => Engine::Postgres(pool.acquire().await?),
            Engine::Sqlite(pools) => Engine::Sqlite(pools.writer.acquire().await?),
        })
    }

    /// How the pools are used now.
    pub fn usage(&self) -> Vec<PoolUsage> {
        match &self.0 {
            Engine::Postgres(pool) => vec![pool.usage("main")],
            Engine::Sqlite(pools) => vec![pools.reader.usage("readers"), pools.writer.usage("writer")],
        }
    }

    /// Closes every connection once its holder is done.
    pub async fn close(&self) {
        match &self.0 {
            Engine::Postgres(pool) => pool.pool.close().await,
            Engine::Sqlite(pools) => {
                pools.reader.pool.close().await;
                pools.writer.pool.close().await;
            }
        }
    }
}

impl<DB: sqlx::Database> RequestPool<DB> {
    fn new(pool: Pool<DB>, patience: Duration) -> Self {
        let connections =
            usize::try_from(pool.options().get_max_connections()).unwrap_or(Semaphore::MAX_PERMITS);
        Self { pool, asking: Arc::new(Semaphore::new(connections)), patience }
    }

    fn usage(&self, name: &'static str) -> PoolUsage {
        let idle = u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX);
        PoolUsage {
            name,
            idle,
            used: self.pool.size().saturating_sub(idle),
            max: self.pool.options().get_max_connections(),
        }
    }

    /// Waits no longer than a request can. Connecting goes on behind it: where a handshake takes longer than a request
    /// waits, giving up on it each time would mean never to connect.
    async fn acquire(&self) -> Result<PoolConnection<DB>, sqlx::Error> {
        let acquiring = async {
            let turn = self.asking.clone().acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
            let pool = self.pool.clone();
            let acquiring = tokio::spawn(async move {
                let acquired = pool.acquire().await;
                drop(turn);
                acquired
            });
            acquiring.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
        };
        timeout(self.patience, acquiring).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }
}

impl<DB: sqlx::Database> Clone for RequestPool<DB> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), asking: self.asking.clone(), patience: self.patience }
    }
}
