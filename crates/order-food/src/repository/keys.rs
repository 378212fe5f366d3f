//! API keys.

use async_trait::async_trait;
use database::{Statement, on_engine};
use domain::{ApiKeyHash, ClientId, Timestamp};

use super::client::{Client, Operation};
use super::{KeyRepository, RepositoryError, StoredKey};

/// API keys in SQL.
#[derive(Clone)]
pub struct SqlKeys(pub Client);

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    client_id: i64,
    key_hash: Vec<u8>,
    pepper_fingerprint: Vec<u8>,
    scopes: String,
    expires_at: Option<i64>,
}

impl TryFrom<Row> for StoredKey {
    type Error = RepositoryError;

    fn try_from(row: Row) -> Result<Self, RepositoryError> {
        let id = row.id;
        let inconsistent = |what: &str| RepositoryError::Inconsistent {
            table: "api_keys",
            what: format!("id {id}: {what}"),
        };
        let hash = row.key_hash.try_into().map_err(|_| inconsistent("no SHA-256"))?;
        Ok(Self {
            id,
            hash: ApiKeyHash::from_bytes(hash),
            pepper_fingerprint: row.pepper_fingerprint,
            client_id: ClientId::new(row.client_id),
            scopes: row.scopes.parse().map_err(|_| inconsistent("unknown scope"))?,
            expires_at: row.expires_at.map(Timestamp::from_micros),
        })
    }
}

const KEYS: Operation = Operation::same(
    "SELECT",
    "api_keys",
    "select id, client_id, key_hash, pepper_fingerprint, scopes, expires_at from api_keys \
     where revoked_at is null and retired_at is null order by id",
);
const NOTE_USE: Operation = Operation {
    name: "UPDATE",
    collection: "api_keys",
    sql: Statement {
        // This does not wait for standbys: it can be done again, so nothing is lost.
        postgres: "with quick as materialized (select set_config('synchronous_commit', 'local', true)) \
                   update api_keys k set last_used_at = u.at from quick, (select (value ->> 0)::bigint as id, \
                   (value ->> 1)::bigint as at from jsonb_array_elements($1::jsonb)) u \
                   where k.id = u.id and (k.last_used_at is null or k.last_used_at < u.at)",
        sqlite: "update api_keys set last_used_at = u.at from (select value ->> 0 as id, value ->> 1 as at \
                 from json_each($1)) u where api_keys.id = u.id \
                 and (api_keys.last_used_at is null or api_keys.last_used_at < u.at)",
    },
};

#[async_trait]
impl KeyRepository for SqlKeys {
    async fn keys(&self) -> Result<Vec<StoredKey>, RepositoryError> {
        self.0
            .load(&KEYS, async {
                let mut connection = self.0.reader().await?;
                let sql = KEYS.sql.on(&connection);
                let rows: Vec<Row> = on_engine!(&mut connection, connection => {
                    sqlx::query_as(sql).fetch_all(&mut **connection).await?
                });
                rows.into_iter().map(StoredKey::try_from).collect()
            })
            .await
    }

    async fn note_use(&self, uses: &[(i64, Timestamp)]) -> Result<(), RepositoryError> {
        let uses: Vec<_> = uses.iter().map(|(id, moment)| [*id, moment.micros()]).collect();
        let uses = serde_json::to_string(&uses)
            .map_err(|error| RepositoryError::Other(sqlx::Error::Encode(error.into())))?;
        self.0
            .call(&NOTE_USE, async {
                let mut connection = self.0.writer().await?;
                let sql = NOTE_USE.sql.on(&connection);
                on_engine!(&mut connection, connection => {
                    sqlx::query(sql).bind(&uses).execute(&mut **connection).await.map(drop)
                })?;
                Ok(())
            })
            .await
    }
}
