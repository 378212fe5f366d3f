//! API clients and their keys.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use database::{ConnectionRef, on_engine};
use domain::text::normalized;
use domain::{ApiKeyHash, Pepper, Scopes, Timestamp};

use crate::header::{optional, required};
use crate::row::Row;
use crate::table::{File, read};
use crate::{Counts, Fault, LoadError, cell};
use domain::{Named, Spellings};

/// One key of a client.
pub(crate) struct User {
    pub client: String,
    key_hash: ApiKeyHash,
    scopes: Scopes,
}

/// The longest key, in bytes.
const MAX_KEY_BYTES: usize = 255;

/// Reads `users.csv`.
pub(crate) fn parse(file: &File<'_>, pepper: &Pepper) -> Result<Vec<User>, LoadError> {
    let columns = [required("client"), optional("key"), optional("key_hash"), required("scopes")];
    let mut lines = HashMap::new();
    read(file, &columns, |row| {
        let user = user(row, pepper)?;
        match lines.insert(*user.key_hash.as_bytes(), row.line) {
            None => Ok(user),
            Some(earlier) => Err(row.fault("key", format!("is the key of line {earlier} already"))),
        }
    })
}

fn user(row: &Row<'_>, pepper: &Pepper) -> Result<User, Fault> {
    let key_hash = match (row.text("key"), row.text("key_hash")) {
        (Some(key), None)
            if key.len() > MAX_KEY_BYTES || !key.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            return Err(row.fault("key", format!("must be at most {MAX_KEY_BYTES} visible ASCII characters")));
        }
        (Some(key), None) => pepper.hash(key),
        (None, Some(hash)) => from_hex(hash).ok_or_else(|| {
            row.fault(
                "key_hash",
                "must be 64 hexadecimal digits, the HMAC-SHA-256 of the key under the pepper",
            )
        })?,
        (None, None) => return Err(row.fault("key", "is empty, and so is key_hash; give one of them")),
        (Some(_), Some(_)) => {
            return Err(row.fault("key_hash", "is given together with key; give one of them"));
        }
    };
    Ok(User { client: row.required_text("client", 200)?.to_owned(), key_hash, scopes: scopes(row)? })
}

fn scopes(row: &Row<'_>) -> Result<Scopes, Fault> {
    // The scope is not named: where columns are mixed up, it may be a key.
    let unknown = || {
        row.fault("scopes", "names an unknown scope; scopes are create_order, read_orders, manage_menu and admin, with blanks between them")
    };
    row.text("scopes").map_or(Ok(Scopes::default()), |text| cell::scopes(text).ok_or_else(unknown))
}

fn from_hex(text: &str) -> Option<ApiKeyHash> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(ApiKeyHash::from_bytes(bytes))
}

#[derive(sqlx::FromRow)]
pub(crate) struct StoredClient {
    pub id: i64,
    name: String,
    is_ours: bool,
    is_retired: bool,
}

impl Named for StoredClient {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_retired(&self) -> bool {
        self.is_retired
    }
}

#[derive(sqlx::FromRow)]
struct StoredKey {
    id: i64,
    client_id: i64,
    key_hash: Vec<u8>,
    pepper_fingerprint: Vec<u8>,
    scopes: String,
    is_ours: bool,
    is_retired: bool,
}

const CLIENTS: &str =
    "select id, name, source = 'file' as is_ours, retired_at is not null as is_retired from api_clients";
const KEYS: &str = "select id, client_id, key_hash, pepper_fingerprint, scopes, source = 'file' as is_ours, \
                    retired_at is not null as is_retired from api_keys";
const STORE_CLIENT: &str = "insert into api_clients (name, source, retired_at, created_at, updated_at) \
                            values ($1, 'file', null, $2, $2) on conflict (name) do update set retired_at = null, \
                            updated_at = excluded.updated_at where api_clients.source = 'file' returning id";
const STORE_KEY: &str = "insert into api_keys (client_id, key_hash, pepper_fingerprint, scopes, source, created_at, updated_at) \
                         values ($1, $2, $3, $4, 'file', $5, $5) on conflict (key_hash) do update set \
                         client_id = excluded.client_id, pepper_fingerprint = excluded.pepper_fingerprint, \
                         scopes = excluded.scopes, retired_at = null, updated_at = excluded.updated_at \
                         where api_keys.source = 'file'";
const RETIRE_CLIENT: &str =
    "update api_clients set retired_at = $2, updated_at = $2 where id = $1 and source = 'file'";
const RETIRE_KEY: &str =
    "update api_keys set retired_at = $2, updated_at = $2 where id = $1 and source = 'file'";

/// Makes the loader's rows say what the file says. Rows are counted by key. A key that a person revoked stays revoked.
pub(crate) async fn apply(
    mut connection: ConnectionRef<'_>,
    users: &[User],
    pepper: &Pepper,
    now: Timestamp,
) -> Result<Counts, sqlx::Error> {
    let (clients, keys): (Vec<StoredClient>, Vec<StoredKey>) = on_engine!(&mut connection, connection => (
        sqlx::query_as(CLIENTS).fetch_all(&mut **connection).await?,
        sqlx::query_as(KEYS).fetch_all(&mut **connection).await?,
    ));
    let clients = Spellings::new(clients);
    let keys: HashMap<Vec<u8>, StoredKey> = keys.into_iter().map(|row| (row.key_hash.clone(), row)).collect();
    // Clients that are new or back, by normalized name; then all clients that the file names.
    let mut added: HashMap<Cow<'_, str>, i64> = HashMap::new();
    let mut listed_clients: HashSet<i64> = HashSet::new();
    let mut counts = Counts { read: users.len() as u64, ..Counts::default() };
    for user in users {
        let stored_client = clients.get(&user.client);
        let stored_key = keys.get(&user.key_hash.as_bytes()[..]);
        if stored_client.is_some_and(|row| !row.is_ours) {
            tracing::warn!(client = user.client, "left alone: not made by a load");
            counts.not_owned += 1;
            continue;
        }
        let letters = normalized(&user.client);
        let client_id = match (stored_client, added.get(&letters)) {
            (Some(row), _) if !row.is_retired => row.id,
            (_, Some(id)) => *id,
            (row, None) => {
                let name = row.map_or(&user.client, |row| &row.name);
                let id = on_engine!(&mut connection, connection => {
                    sqlx::query_scalar(STORE_CLIENT).bind(name).bind(now.micros()).fetch_one(&mut **connection).await?
                });
                added.insert(letters, id);
                id
            }
        };
        listed_clients.insert(client_id);
        let scopes = user.scopes.to_string();
        match stored_key {
            Some(row) if !row.is_ours => {
                tracing::warn!(client = user.client, "a key was left alone: not made by a load");
                counts.not_owned += 1;
                continue;
            }
            Some(row)
                if !row.is_retired
                    && row.client_id == client_id
                    && row.scopes == scopes
                    && row.pepper_fingerprint == pepper.fingerprint() =>
            {
                counts.unchanged += 1;
                continue;
            }
            Some(row) if !row.is_retired => counts.changed += 1,
            _ => counts.added += 1,
        }
        on_engine!(&mut connection, connection => {
            sqlx::query(STORE_KEY)
                .bind(client_id)
                .bind(&user.key_hash.as_bytes()[..])
                .bind(&pepper.fingerprint()[..])
                .bind(&scopes)
                .bind(now.micros())
                .execute(&mut **connection)
                .await?;
        });
    }
    let listed: HashSet<&[u8]> = users.iter().map(|user| &user.key_hash.as_bytes()[..]).collect();
    let left =
        keys.values().filter(|row| row.is_ours && !row.is_retired && !listed.contains(&row.key_hash[..]));
    for row in left {
        on_engine!(&mut connection, connection => {
            sqlx::query(RETIRE_KEY).bind(row.id).bind(now.micros()).execute(&mut **connection).await?;
        });
        counts.retired += 1;
    }
    let is_left = |row: &&StoredClient| row.is_ours && !row.is_retired && !listed_clients.contains(&row.id);
    for row in clients.iter().filter(is_left) {
        on_engine!(&mut connection, connection => {
            sqlx::query(RETIRE_CLIENT).bind(row.id).bind(now.micros()).execute(&mut **connection).await?;
        });
    }
    Ok(counts)
}

/// All clients, in use or retired.
pub(crate) async fn clients(connection: ConnectionRef<'_>) -> Result<Spellings<StoredClient>, sqlx::Error> {
    let clients: Vec<StoredClient> =
        on_engine!(connection, connection => sqlx::query_as(CLIENTS).fetch_all(connection).await?);
    Ok(Spellings::new(clients))
}
