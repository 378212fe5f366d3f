//! The API's connections.

use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{PgPool, SqlitePool};

use crate::{DatabaseUrl, Engine, Transaction, engine::BEGIN_WRITE};

/// Connections for reading and for writing. Nothing is connected before the first use.
#[derive(Debug, Clone)]
pub struct Pools(Engine<PgPool, SqlitePools>);

/// SQLite has one writer at a time; its connection is apart, so that readers never wait for it.
#[derive(Debug, Clone)]
pub struct SqlitePools {
    reader: SqlitePool,
    writer: SqlitePool,
}

impl Pools {
    /// How long a request waits for a connection before the database counts as away.
    const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(200);

    /// Pools of at most `max_connections` connections (SQLite: readers, beside the one writer).
    pub fn open(url: &DatabaseUrl, application: &str, max_connections: u32) -> Self {
        Self(match &url.0 {
            Engine::Postgres(options) => Engine::Postgres(
                PgPoolOptions::new()
                    .max_connections(max_connections)
                    .acquire_timeout(Self::ACQUIRE_TIMEOUT)
                    .connect_lazy_with(DatabaseUrl::postgres_options(options, application)),
            ),
            Engine::Sqlite(file) => {
                let options = DatabaseUrl::sqlite_options(file);
                let pool = |size| {
                    SqlitePoolOptions::new()
                        .max_connections(size)
                        .acquire_timeout(Self::ACQUIRE_TIMEOUT)
                };
                Engine::Sqlite(SqlitePools {
                    reader: pool(max_connections).connect_lazy_with(options.clone().read_only(true)),
                    writer: pool(1).connect_lazy_with(options),
                })
            }
        })
    }

    /// Where to read.
    pub const fn reader(&self) -> Engine<&PgPool, &SqlitePool> {
        match &self.0 {
            Engine::Postgres(pool) => Engine::Postgres(pool),
            Engine::Sqlite(pools) => Engine::Sqlite(&pools.reader),
        }
    }

    /// Where to write single statements.
    pub const fn writer(&self) -> Engine<&PgPool, &SqlitePool> {
        match &self.0 {
            Engine::Postgres(pool) => Engine::Postgres(pool),
            Engine::Sqlite(pools) => Engine::Sqlite(&pools.writer),
        }
    }

    /// Starts a transaction that is going to write.
    pub async fn begin_write(&self) -> Result<Transaction<'static>, sqlx::Error> {
        let writer = self.writer();
        let begin = BEGIN_WRITE.on(&writer);
        Ok(match writer {
            Engine::Postgres(pool) => Engine::Postgres(pool.begin_with(begin).await?),
            Engine::Sqlite(pool) => Engine::Sqlite(pool.begin_with(begin).await?),
        })
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
