//! The API's connections.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{PgConnection, Pool, Postgres, Sqlite};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::engine::BEGIN_WRITE;
use crate::postgres::{self, Access, Setting};
use crate::{ConnectionRef, DatabaseUrl, Engine, SqliteFile, Transaction, Unusable};

/// Connections for reading and for writing. Nothing is connected before the first use.
#[derive(Debug, Clone)]
pub struct Pools(Engine<PostgresPool, SqlitePools>);

/// A pool of connections to a primary: a new connection to a standby does not pass the entry.
#[derive(Debug, Clone)]
struct PostgresPool {
    pool: RequestPool<Postgres>,
    entry: Arc<Entry>,
}

/// The checks that a new connection has to pass.
#[derive(Debug)]
struct Entry {
    options: PgConnectOptions,
    /// When a connection was last seen to have a session to itself.
    direct_at: tokio::sync::Mutex<Option<Instant>>,
    /// Why the last connection did not pass.
    unusable: Mutex<Option<Unusable>>,
    /// Whether a pooler was found elsewhere, by the order writer.
    is_blocked: AtomicBool,
}

/// SQLite has one writer at a time; its connection is apart, so that readers never wait for it.
#[derive(Debug, Clone)]
struct SqlitePools {
    file: SqliteFile,
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

impl PooledConnection {
    /// The connection, on loan.
    pub fn borrow(&mut self) -> ConnectionRef<'_> {
        match self {
            Self::Postgres(connection) => Engine::Postgres(connection),
            Self::Sqlite(connection) => Engine::Sqlite(connection),
        }
    }
}

impl Pools {
    /// How long a request waits for a connection to a server. Nobody can tell a server that is away from one that others
    /// keep busy, and who asks one that is away is to hear of it within 250 ms.
    const SERVER_PATIENCE: Duration = Duration::from_millis(200);
    /// How long a request waits for a file, which is never away, only in use by others.
    const FILE_PATIENCE: Duration = Duration::from_secs(1);
    /// How long a transaction that is going to write may take to begin: it waits for other writers of a file, and asks a
    /// server once more than a read does. No order waits for it.
    const WRITE_PATIENCE: Duration = Duration::from_millis(1400);
    /// How long making a connection may take. Longer than a request waits: the connection serves the next one.
    const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

    /// Pools of at most `max_connections` connections (SQLite: readers, beside the one writer).
    pub fn open(url: &DatabaseUrl, application: &str, max_connections: u32) -> Self {
        Self(match &url.0 {
            Engine::Postgres(options) => {
                let options = DatabaseUrl::postgres_options(options, application);
                let entry = Arc::new(Entry {
                    options: options.clone(),
                    direct_at: tokio::sync::Mutex::new(None),
                    unusable: Mutex::new(None),
                    is_blocked: AtomicBool::new(false),
                });
                let door = entry.clone();
                let pool = PgPoolOptions::new()
                    .max_connections(max_connections)
                    .acquire_timeout(url.connect_timeout().unwrap_or(Self::CONNECT_TIMEOUT))
                    .after_connect(move |connection, _| {
                        let door = door.clone();
                        Box::pin(async move { door.pass(connection).await })
                    })
                    .connect_lazy_with(options);
                Engine::Postgres(PostgresPool { pool: RequestPool::new(pool, Self::SERVER_PATIENCE), entry })
            }
            Engine::Sqlite(file) => {
                let options = DatabaseUrl::sqlite_options(file);
                let pool = |size, options| {
                    let pool =
                        SqlitePoolOptions::new().max_connections(size).acquire_timeout(Self::CONNECT_TIMEOUT);
                    RequestPool::new(pool.connect_lazy_with(options), Self::FILE_PATIENCE)
                };
                Engine::Sqlite(SqlitePools {
                    file: SqliteFile::new(file),
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
            Engine::Sqlite(pools) => Engine::Sqlite(pools.acquire().await?),
        })
    }

    /// A transaction that is going to write. Dropping it without [`Transaction::commit`] rolls back.
    pub async fn begin_write(&self) -> Result<Transaction<'static>, sqlx::Error> {
        Ok(match &self.0 {
            Engine::Postgres(pool) => Engine::Postgres(
                pool.ask(
                    Self::WRITE_PATIENCE,
                    |pool| async move { pool.begin_with(BEGIN_WRITE.postgres).await },
                )
                .await?,
            ),
            Engine::Sqlite(pools) => Engine::Sqlite(
                pools
                    .ask(&pools.writer, Self::WRITE_PATIENCE, |pool| async move {
                        pool.begin_with(BEGIN_WRITE.sqlite).await
                    })
                    .await?,
            ),
        })
    }

    /// Blocks or unblocks the pool of a server. It hands out no connections while a pooler is known to share sessions.
    pub fn set_blocked(&self, is_blocked: bool) {
        if let Engine::Postgres(pool) = &self.0 {
            pool.entry.is_blocked.store(is_blocked, Ordering::Relaxed);
        }
    }

    /// How the pools are used now.
    pub fn usage(&self) -> Vec<PoolUsage> {
        match &self.0 {
            Engine::Postgres(pool) => vec![pool.pool.usage("main")],
            Engine::Sqlite(pools) => vec![pools.reader.usage("readers"), pools.writer.usage("writer")],
        }
    }

    /// Closes every connection once its holder is done.
    pub async fn close(&self) {
        match &self.0 {
            Engine::Postgres(pool) => pool.pool.pool.close().await,
            Engine::Sqlite(pools) => {
                pools.reader.pool.close().await;
                pools.writer.pool.close().await;
            }
        }
    }
}

impl SqlitePools {
    async fn acquire(&self) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
        self.ask(&self.reader, self.reader.patience, |pool| async move { pool.acquire().await }).await
    }

    /// Asks a pool. All of its connections lead to one file: the path is checked to name that file still.
    async fn ask<T, F>(
        &self,
        pool: &RequestPool<Sqlite>,
        patience: Duration,
        asking: impl FnOnce(Pool<Sqlite>) -> F + Send + 'static,
    ) -> Result<T, sqlx::Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    {
        self.file.check()?;
        let answer = pool.ask(patience, asking).await?;
        self.file.opened();
        Ok(answer)
    }
}

impl PostgresPool {
    async fn acquire(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        self.ask(self.pool.patience, |pool| async move { pool.acquire().await }).await
    }

    async fn ask<T, F>(
        &self,
        patience: Duration,
        asking: impl FnOnce(Pool<Postgres>) -> F + Send + 'static,
    ) -> Result<T, sqlx::Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    {
        if self.entry.is_blocked.load(Ordering::Relaxed) {
            return Err(Unusable::Pooled.into());
        }
        // The pool tries again and again, and then says only that it took too long.
        self.pool.ask(patience, asking).await.map_err(|error| {
            let unusable = *self.entry.unusable.lock().unwrap_or_else(PoisonError::into_inner);
            unusable.map_or(error, Into::into)
        })
    }
}

impl Entry {
    /// For so long after a check that found a direct connection, new ones are taken for direct, too.
    const DIRECT_FOR: Duration = Duration::from_secs(10);
    /// A process that stands still does not keep locks for longer than a batch of orders may take.
    const SETTINGS: &[Setting] = &[("idle_in_transaction_session_timeout", "1500ms")];

    async fn pass(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let passed = self.check(connection).await;
        let unusable = passed.as_ref().err().and_then(Unusable::of);
        *self.unusable.lock().unwrap_or_else(PoisonError::into_inner) = unusable;
        passed
    }

    async fn check(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        {
            // The lock is held during the check: other new connections wait for its result.
            let mut direct_at = self.direct_at.lock().await;
            if direct_at.is_none_or(|at| at.elapsed() > Self::DIRECT_FOR) {
                postgres::check_is_direct(connection, &self.options).await?;
                *direct_at = Some(Instant::now());
            }
        }
        postgres::set_up(connection, Access::Read, Self::SETTINGS).await.map(drop)
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

    /// Asks the pool for a connection, and waits no longer than a request can. Connecting goes on behind it: where a
    /// handshake takes longer than a request waits, giving up on it each time would mean never to connect.
    async fn ask<T, F>(
        &self,
        patience: Duration,
        asking: impl FnOnce(Pool<DB>) -> F + Send + 'static,
    ) -> Result<T, sqlx::Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    {
        let waiting = async {
            let turn = self.asking.clone().acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
            let pool = self.pool.clone();
            let asking = tokio::spawn(async move {
                let answer = asking(pool).await;
                drop(turn);
                answer
            });
            asking.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
        };
        timeout(patience, waiting).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }
}

impl<DB: sqlx::Database> Clone for RequestPool<DB> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), asking: self.asking.clone(), patience: self.patience }
    }
}
