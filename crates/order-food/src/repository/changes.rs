//! What a process that keeps data in memory polls.

use async_trait::async_trait;
use database::{Engine, Pools, on_engine};
use database_migration::{Migrator, SchemaState};

use super::{ChangeCounters, ChangeRepository, RepositoryError, reading};

/// Schema and counters in SQL.
#[derive(Debug, Clone)]
pub struct SqlChanges(pub Pools);

#[async_trait]
impl ChangeRepository for SqlChanges {
    async fn schema(&self) -> Result<SchemaState, RepositoryError> {
        reading(async {
            Ok(match self.0.reader() {
                Engine::Postgres(pool) => {
                    Migrator::state(Engine::Postgres(&mut *pool.acquire().await?)).await?
                }
                Engine::Sqlite(pool) => Migrator::state(Engine::Sqlite(&mut *pool.acquire().await?)).await?,
            })
        })
        .await
    }

    async fn counters(&self) -> Result<ChangeCounters, RepositoryError> {
        const SQL: &str = "select menu, api_keys from change_counters";
        reading(async { Ok(on_engine!(self.0.reader(), pool => sqlx::query_as(SQL).fetch_one(pool).await?)) })
            .await
    }
}
