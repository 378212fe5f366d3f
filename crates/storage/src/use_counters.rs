//! The counters of limited uses, as they are read. The order writer counts.

use database::{Statement, on_engine};

use crate::database::Operation;
use crate::{Database, StorageError};

const USED: Operation = Operation {
    name: "SELECT",
    collection: "limit_counters",
    sql: Statement {
        postgres: "select name, used from limit_counters where name in (select jsonb_array_elements_text($1::jsonb))",
        sqlite: "select name, used from limit_counters where name in (select value from json_each($1))",
    },
};

impl Database {
    /// How often counters were used. Counters that never were are left out.
    pub async fn used(&self, counters: &[&str]) -> Result<Vec<(String, i64)>, StorageError> {
        let counters = serde_json::to_string(counters).map_err(StorageError::not_encodable)?;
        self.read(&USED, |mut connection, sql| async move {
            Ok(on_engine!(&mut connection, connection => {
                sqlx::query_as(sql).bind(&counters).fetch_all(&mut **connection).await?
            }))
        })
        .await
    }
}
