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
            Ok(match self.0.reader().await? {
                Engine::Postgres(mut connection) => {
                    Migrator::state(Engine::Postgres(&mut connection)).await?
                }
                Engine::Sqlite(mut connection) => Migrator::state(Engine::Sqlite(&mut connection)).await?,
            })
        })
        .await
    }

    async fn counters(&self) -> Result<ChangeCounters, RepositoryError> {
        const SQL: &str = "select menu, api_keys, promotions, coupons from change_counters";
        reading(async {
            Ok(on_engine!(self.0.reader().await?, mut connection => {
                sqlx::query_as(SQL).fetch_one(&mut *connection).await?
            }))
        })
        .await
    }
}
