//! What a process that keeps data in memory polls.

use database::{Statement, Transaction, on_engine};
use database_migration::{Migrator, SchemaState};

use crate::database::Operation;
use crate::{Database, StorageError};

/// How often each kind of data has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct ChangeCounters {
    /// Products.
    pub menu: i64,
    /// Clients and keys.
    pub api_keys: i64,
    /// Promotions.
    pub promotions: i64,
    /// Codes of the coupon files.
    pub coupons: i64,
    /// The settings of the shop.
    pub shop: i64,
}

/// A kind of data that has a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// Products.
    Menu,
    /// Clients and keys.
    ApiKeys,
    /// Promotions.
    Promotions,
    /// Codes of the coupon files.
    Coupons,
    /// The settings of the shop.
    Shop,
}

/// Counts a change, in the transaction that makes it: every API reads that kind of data again.
pub async fn bump(transaction: &mut Transaction<'_>, changed: Changed) -> Result<(), StorageError> {
    let sql = match changed {
        Changed::Menu => "update change_counters set menu = menu + 1",
        Changed::ApiKeys => "update change_counters set api_keys = api_keys + 1",
        Changed::Promotions => "update change_counters set promotions = promotions + 1",
        Changed::Coupons => "update change_counters set coupons = coupons + 1",
        Changed::Shop => "update change_counters set shop = shop + 1",
    };
    on_engine!(transaction.connection(), connection => {
        sqlx::query(sql).execute(connection).await.map(drop)
    })?;
    Ok(())
}

/// refinery words the statement.
const SCHEMA: Operation =
    Operation::same("SELECT", "refinery_schema_history", "select * from refinery_schema_history");
const COUNTERS: Operation = Operation::same(
    "SELECT",
    "change_counters",
    "select menu, api_keys, promotions, coupons, shop from change_counters",
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

impl Database {
    /// How the schema compares with what this release needs.
    pub async fn schema(&self) -> Result<SchemaState, StorageError> {
        self.read(&SCHEMA, |mut connection, _| async move { Ok(Migrator::state(connection.borrow()).await?) })
            .await
    }

    /// The counters now.
    pub async fn change_counters(&self) -> Result<ChangeCounters, StorageError> {
        self.read(&COUNTERS, |mut connection, sql| async move {
            Ok(on_engine!(&mut connection, connection => {
                sqlx::query_as(sql).fetch_one(&mut **connection).await?
            }))
        })
        .await
    }

    /// Settings of the server that may lose acknowledged orders in a crash, such as `fsync=off`.
    pub async fn unsafe_settings(&self) -> Result<Vec<String>, StorageError> {
        let settings: String = self
            .read(&SERVER, |mut connection, sql| async move {
                Ok(on_engine!(&mut connection, connection => {
                    sqlx::query_scalar(sql).fetch_one(&mut **connection).await?
                }))
            })
            .await?;
        Ok(settings.split(',').filter(|text| !text.is_empty()).map(str::to_owned).collect())
    }
}
