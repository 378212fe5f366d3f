//! API keys as the command line works with them, each change within a transaction of the caller's.

use database::{Connection, Transaction, on_engine};
use domain::{ApiKeyHash, ClientId, Named, Spellings, Timestamp};

use crate::StorageError;

const CLIENTS: &str = "select id, name, retired_at is not null as is_retired from api_clients";
const CLIENT: &str = "insert into api_clients (name, source, created_at, updated_at) values ($1, 'command', $2, $2) \
                      on conflict (name) do update set name = excluded.name returning id";
const CREATE: &str = "insert into api_keys (client_id, key_hash, pepper_fingerprint, scopes, source, expires_at, created_at, \
                      updated_at) values ($1, $2, $3, $4, 'command', $5, $6, $6) returning id";
const REVOKE: &str = "update api_keys set revoked_at = $2, updated_at = $2 where id = $1 and revoked_at is null \
                      and retired_at is null returning client_id, scopes, expires_at";
const LIST: &str = "select k.id, c.name as client, k.scopes, k.source, k.expires_at, k.revoked_at, k.retired_at, \
                    k.last_used_at, k.created_at, k.pepper_fingerprint from api_keys k join api_clients c on c.id = k.client_id order by k.id";

/// A key in the list. Times are in microseconds since 1970.
#[derive(Debug, serde::Serialize, sqlx::FromRow)]
pub struct ListedKey {
    pub id: i64,
    /// The client's name.
    pub client: String,
    pub scopes: String,
    /// `file` or `command`: what made it.
    pub source: String,
    pub expires_at: Option<i64>,
    pub revoked_at: Option<i64>,
    pub retired_at: Option<i64>,
    pub last_used_at: Option<i64>,
    pub created_at: i64,
    #[serde(skip)]
    pub pepper_fingerprint: Vec<u8>,
}

/// A key to be stored.
pub struct NewKey<'k> {
    pub client_id: ClientId,
    pub hash: ApiKeyHash,
    pub pepper_fingerprint: &'k [u8],
    pub scopes: &'k str,
    pub expires_at: Option<Timestamp>,
}

/// What a revoked key was.
pub struct RevokedKey {
    pub client_id: ClientId,
    pub scopes: String,
    pub expires_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct ClientRow {
    id: i64,
    name: String,
    is_retired: bool,
}

impl Named for ClientRow {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_retired(&self) -> bool {
        self.is_retired
    }
}

/// Every key, by id.
pub async fn list(connection: &mut Connection) -> Result<Vec<ListedKey>, StorageError> {
    Ok(on_engine!(connection, connection => sqlx::query_as(LIST).fetch_all(connection).await?))
}

/// The client of that name, which is made if there is none. Names are compared as loads compare them. Of several clients,
/// one in use is preferred.
pub async fn ensure_client(
    transaction: &mut Transaction<'_>,
    name: &str,
    now: Timestamp,
) -> Result<ClientId, StorageError> {
    let clients: Vec<ClientRow> = on_engine!(transaction.connection(), connection => {
        sqlx::query_as(CLIENTS).fetch_all(connection).await?
    });
    if let Some(client) = Spellings::new(clients).get(name) {
        return Ok(ClientId::new(client.id));
    }
    let id = on_engine!(transaction.connection(), connection => {
        sqlx::query_scalar(CLIENT).bind(name).bind(now.micros()).fetch_one(connection).await?
    });
    Ok(ClientId::new(id))
}

/// Stores a key, and returns its id.
pub async fn insert(
    transaction: &mut Transaction<'_>,
    key: &NewKey<'_>,
    now: Timestamp,
) -> Result<i64, StorageError> {
    Ok(on_engine!(transaction.connection(), connection => {
        sqlx::query_scalar(CREATE)
            .bind(key.client_id.get())
            .bind(&key.hash.as_bytes()[..])
            .bind(key.pepper_fingerprint)
            .bind(key.scopes)
            .bind(key.expires_at.map(Timestamp::micros))
            .bind(now.micros())
            .fetch_one(connection)
            .await?
    }))
}

/// Revokes a key for good. `None` if there is no usable key with that id.
pub async fn revoke(
    transaction: &mut Transaction<'_>,
    id: i64,
    now: Timestamp,
) -> Result<Option<RevokedKey>, StorageError> {
    let revoked: Option<(i64, String, Option<i64>)> = on_engine!(transaction.connection(), connection => {
        sqlx::query_as(REVOKE).bind(id).bind(now.micros()).fetch_optional(connection).await?
    });
    Ok(revoked.map(|(client_id, scopes, expires_at)| RevokedKey {
        client_id: ClientId::new(client_id),
        scopes,
        expires_at: expires_at.map(Timestamp::from_micros),
    }))
}
