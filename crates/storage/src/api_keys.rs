//! API keys.

use database::{Statement, on_engine};
use domain::{ApiKeyHash, ClientId, Scopes, Timestamp};

use crate::database::Operation;
use crate::{Database, Known, StorageError};

/// One usable API key.
#[derive(Debug, Clone)]
pub struct StoredKey {
    pub id: i64,
    /// The hash of the key.
    pub hash: ApiKeyHash,
    /// The fingerprint of the pepper that the key was hashed with.
    pub pepper_fingerprint: Vec<u8>,
    /// The client that has the key.
    pub client_id: ClientId,
    /// What the key allows.
    pub scopes: Scopes,
    /// The moment from which on the key is invalid.
    pub expires_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    client_id: i64,
    key_hash: Vec<u8>,
    pepper_fingerprint: Vec<u8>,
    scopes: String,
    expires_at: Option<i64>,
}

impl Row {
    /// The key, and how many of its scopes this release does not know.
    fn key(self) -> Result<(StoredKey, usize), StorageError> {
        let id = self.id;
        let no_hash =
            |_| StorageError::Inconsistent { table: "api_keys", what: format!("id {id}: no SHA-256") };
        let (scopes, unknown) = Scopes::known(&self.scopes);
        let key = StoredKey {
            id,
            hash: ApiKeyHash::from_bytes(self.key_hash.try_into().map_err(no_hash)?),
            pepper_fingerprint: self.pepper_fingerprint,
            client_id: ClientId::new(self.client_id),
            scopes,
            expires_at: self.expires_at.map(Timestamp::from_micros),
        };
        Ok((key, unknown))
    }
}

const KEYS: Operation = Operation::same(
    "SELECT",
    "api_keys",
    "select id, client_id, key_hash, pepper_fingerprint, scopes, expires_at from api_keys \
     where revoked_at is null and retired_at is null order by id",
);
const RECORD_USES: Operation = Operation {
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

impl Database {
    /// Every key that is neither revoked nor retired.
    pub async fn api_keys(&self) -> Result<Known<Vec<StoredKey>>, StorageError> {
        self.load(&KEYS, |mut connection, sql| async move {
            let rows: Vec<Row> = on_engine!(&mut connection, connection => {
                sqlx::query_as(sql).fetch_all(&mut **connection).await?
            });
            let mut known = Known { items: Vec::with_capacity(rows.len()), unknown: 0 };
            for row in rows {
                let (key, unknown) = row.key()?;
                known.items.push(key);
                known.unknown += unknown;
            }
            Ok(known)
        })
        .await
    }

    /// Records when keys, by their id, were last used.
    pub async fn record_key_uses(&self, uses: &[(i64, Timestamp)]) -> Result<(), StorageError> {
        let uses: Vec<_> = uses.iter().map(|(id, moment)| [*id, moment.micros()]).collect();
        let uses = serde_json::to_string(&uses).map_err(StorageError::not_encodable)?;
        let uses = &uses;
        self.write(&RECORD_USES, |mut transaction, sql| async move {
            on_engine!(transaction.connection(), connection => {
                sqlx::query(sql).bind(uses).execute(connection).await.map(drop)
            })?;
            Ok((transaction, ()))
        })
        .await
    }
}
