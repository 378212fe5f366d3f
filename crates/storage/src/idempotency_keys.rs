//! Idempotency keys. The order writer claims them and reads what is stored under them.

use database::{Statement, on_engine};
use domain::{ClientId, IdempotencyKey, Timestamp};

use crate::database::Operation;
use crate::{Database, StorageError};

const EXISTS: Operation = Operation::same(
    "SELECT",
    "idempotency_keys",
    "select count(*) from idempotency_keys where client_id = $1 and key = $2",
);
const PRUNE: Operation = Operation {
    name: "DELETE",
    collection: "idempotency_keys",
    sql: Statement {
        // This does not wait for standbys: it can be done again, so nothing is lost.
        postgres: "with quick as materialized (select set_config('synchronous_commit', 'local', true)) \
                   delete from idempotency_keys i using (select k.client_id, k.key from quick, idempotency_keys k \
                   where k.created_at < $1 order by k.created_at limit $2 for update of k skip locked) old \
                   where i.client_id = old.client_id and i.key = old.key",
        sqlite: "delete from idempotency_keys where (client_id, key) in (select client_id, key from idempotency_keys \
                 where created_at < $1 order by created_at limit $2)",
    },
};

impl Database {
    /// Whether an order was placed with that key.
    pub async fn is_key_used(&self, client_id: ClientId, key: &IdempotencyKey) -> Result<bool, StorageError> {
        let count: i64 = self
            .read(&EXISTS, |mut connection, sql| async move {
                Ok(on_engine!(&mut connection, connection => {
                    let query = sqlx::query_scalar(sql).bind(client_id.get()).bind(key.as_str());
                    query.fetch_one(&mut **connection).await?
                }))
            })
            .await?;
        Ok(count > 0)
    }

    /// Removes at most `limit` keys from before `before`. Returns how many were removed.
    pub async fn prune_idempotency_keys(&self, before: Timestamp, limit: u32) -> Result<u64, StorageError> {
        self.write(&PRUNE, |mut transaction, sql| async move {
            let removed = on_engine!(transaction.connection(), connection => {
                let query = sqlx::query(sql).bind(before.micros()).bind(i64::from(limit));
                query.execute(connection).await?.rows_affected()
            });
            Ok((transaction, removed))
        })
        .await
    }
}
