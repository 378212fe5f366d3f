//! The API's connections.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{PgPool, Pool, Postgres, Sqlite, SqlitePool};
use tokio::time::timeout;

use crate::{DatabaseUrl, Engine};

/// Connections for reading and for writing. Nothing is connected before the first use.
#[derive(Debug, Clone)]
pub struct Pools(Engine<PgPool, SqlitePools>);

/// SQLite has one writer at a time; its connection is apart, so that readers never wait for it.
#[derive(Debug, Clone)]
struct SqlitePools {
    reader: SqlitePool,
    writer: SqlitePool,
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
    const SERVER_PATIENCE: Duration = Duration::from_millis(225);
    /// How long a request waits for a file, which is never away, only in use by others.
    const FILE_PATIENCE: Duration = Duration::from_secs(1);
    /// How long making a connection may take. Longer than a request waits: the connection serves the next one.
    const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

    /// Pools of at most `max_connections` connections (SQLite: readers, beside the one writer).
    pub fn open(url: &DatabaseUrl, application: &str, max_connections: u32) -> Self {
        Self(match &url.0 {
            Engine::Postgres(options) => Engine::Postgres(
                PgPoolOptions::new()
                    .max_connections(max_connections)
                    .acquire_timeout(Self::CONNECT_TIMEOUT)
                    .connect_lazy_with(DatabaseUrl::postgres_options(options, application)),
            ),
            Engine::Sqlite(file) => {
                let options = DatabaseUrl::sqlite_options(file);
                let pool = |size| {
                    SqlitePoolOptions::new().max_connections(size).acquire_timeout(Self::CONNECT_TIMEOUT)
                };
                Engine::Sqlite(SqlitePools {
                    reader: pool(max_connections).connect_lazy_with(options.clone().read_only(true)),
                    writer: pool(1).connect_lazy_with(options),
                })
            }
        })
    }

    /// A connection for reading.
    pub async fn reader(&self) -> Result<PooledConnection, sqlx::Error> {
        Ok(match &self.0 {
            Engine::Postgres(pool) => Engine::Postgres(acquire(pool, Self::SERVER_PATIENCE).await?),
            Engine::Sqlite(pools) => Engine::Sqlite(acquire(&pools.reader, Self::FILE_PATIENCE).await?),
        })
    }

    /// A connection for writing.
    pub async fn writer(&self) -> Result<PooledConnection, sqlx::Error> {
        Ok(match &self.0 {
            Engine::Postgres(pool) => Engine::Postgres(acquire(pool, Self::SERVER_PATIENCE).await?),
            Engine::Sqlite(pools) => Engine::Sqlite(acquire(&pools.writer, Self::FILE_PATIENCE).await?),
        })
    }

    /// How the pools are used now.
    pub fn usage(&self) -> Vec<PoolUsage> {
        match &self.0 {
            Engine::Postgres(pool) => vec![usage("main", pool)],
            Engine::Sqlite(pools) => vec![usage("readers", &pools.reader), usage("writer", &pools.writer)],
        }
    }

    /// Closes every connection once its holder is done.
    pub async fn close(&self) {
        match &self.0 {
            Engine::Postgres(pool) => pool.close().await,
            Engine::Sqlite(pools) => {
                pools.reader.close().await;
                pools.writer.close().await;
            }
        }
    }
}

fn usage<DB: sqlx::Database>(name: &'static str, pool: &Pool<DB>) -> PoolUsage {
    let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
    PoolUsage {
        name,
        idle,
        used: pool.size().saturating_sub(idle),
        max: pool.options().get_max_connections(),
    }
}

/// Waits no longer than a request can. Connecting goes on behind it: where a handshake takes longer than a request
/// waits, giving up on it each time would mean never to connect.
async fn acquire<DB: sqlx::Database>(
    pool: &Pool<DB>,
    patience: Duration,
) -> Result<PoolConnection<DB>, sqlx::Error> {
    let pool = pool.clone();
    let acquiring = tokio::spawn(async move { pool.acquire().await });
    match timeout(patience, acquiring).await {
        Ok(Ok(acquired)) => acquired,
        Ok(Err(_)) => Err(sqlx::Error::WorkerCrashed),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}
