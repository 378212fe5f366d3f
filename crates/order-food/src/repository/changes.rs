//! What a process that keeps data in memory polls.

use async_trait::async_trait;
use database::{Engine, on_engine};
use database_migration::{Migrator, SchemaState};

use super::client::{Client, Operation};
use super::{ChangeCounters, ChangeRepository, RepositoryError};

/// Schema and counters in SQL.
#[derive(Clone)]
pub struct SqlChanges(pub Client);

/// refinery words the statement.
const SCHEMA: Operation =
    Operation::same("SELECT", "refinery_schema_history", "select * from refinery_schema_history");
const COUNTERS: Operation = Operation::same(
    "SELECT",
    "change_counters",
    "select menu, api_keys, promotions, coupons from change_counters",
);

#[async_trait]
impl ChangeRepository for SqlChanges {
    async fn schema(&self) -> Result<SchemaState, RepositoryError> {
        self.0
            .call(&SCHEMA, async {
                Ok(match self.0.reader().await? {
                    Engine::Postgres(mut connection) => {
                        Migrator::state(Engine::Postgres(&mut connection)).await?
                    }
                    Engine::Sqlite(mut connection) => {
                        Migrator::state(Engine::Sqlite(&mut connection)).await?
                    }
                })
            })
            .await
    }

    async fn counters(&self) -> Result<ChangeCounters, RepositoryError> {
        self.0
            .call(&COUNTERS, async {
                let mut connection = self.0.reader().await?;
                let sql = COUNTERS.sql.on(&connection);
                Ok(on_engine!(&mut connection, connection => {
                    sqlx::query_as(sql).fetch_one(&mut **connection).await?
                }))
            })
            .await
    }
}
