//! What a process that keeps data in memory polls.

use async_trait::async_trait;
use database::{Engine, Statement, on_engine};
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

const SERVER: Operation = Operation {
    name: "SELECT",
    collection: "pg_settings",
    sql: Statement {
        postgres: "select concat_ws(',', nullif(concat('fsync=', current_setting('fsync')), 'fsync=on'), \
                       nullif(concat('full_page_writes=', current_setting('full_page_writes')), 'full_page_writes=on'), \
                       nullif(concat('zero_damaged_pages=', current_setting('zero_damaged_pages')), 'zero_damaged_pages=off'), \
                       (select concat('unlogged table ', string_agg(relname, ' ' order by relname)) from pg_class \
                        where relpersistence = 'u' and pg_table_is_visible(oid) and relname in \
                        ('orders', 'idempotency_keys', 'promotion_redemptions', 'limit_counters') having count(*) > 0)) as unsafe",
        sqlite: "select '' as unsafe",
    },
};

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

    async fn unsafe_settings(&self) -> Result<Vec<String>, RepositoryError> {
        let settings: String = self
            .0
            .call(&SERVER, async {
                let mut connection = self.0.reader().await?;
                let sql = SERVER.sql.on(&connection);
                Ok(on_engine!(&mut connection, connection => {
                    sqlx::query_scalar(sql).fetch_one(&mut **connection).await?
                }))
            })
            .await?;
        Ok(settings.split(',').filter(|text| !text.is_empty()).map(str::to_owned).collect())
    }
}
