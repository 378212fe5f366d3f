//! `order-food keys create|list|revoke|rotate`: API keys from the command line. Running APIs follow within a second.

use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, Subcommand};
use database::{Access, ConnectError, Connection, DatabaseUrl, Session, on_engine};
use domain::{Clock, Pepper, Scopes, Timestamp};
use serde::Serialize;

/// API keys
#[derive(Debug, Clone, Subcommand)]
pub enum KeysCommand {
    /// Make a key for a client, which is made too if there is none of that name. The key is shown once
    Create(CreateArgs),
    /// List keys, without the keys themselves
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a key useless, for good
    Revoke {
        /// The key's number in the list
        id: i64,
    },
    /// Make a new key for the client of an old one, with the same scopes and expiry, and revoke the old one
    Rotate {
        /// The old key's number in the list
        id: i64,
    },
}

/// What the new key is for.
#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    /// The client's name
    #[arg(long)]
    client: String,
    /// What the key allows: any of create_order read_orders manage_menu admin
    #[arg(long, default_value = "create_order read_orders", value_parser = scopes)]
    scopes: Scopes,
    /// When it expires, e.g. 2027-01-31T00:00:00Z [default: never]
    #[arg(long, value_parser = moment)]
    expires_at: Option<Timestamp>,
}

fn scopes(text: &str) -> Result<Scopes, String> {
    text.replace(',', " ").parse().map_err(|error: domain::api_key::UnknownScope| error.to_string())
}

fn moment(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::parse_rfc3339(text).ok_or("is not a time; example: 2027-01-31T00:00:00Z")
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The database is not there.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The database failed.
    #[error("the database failed; has it been migrated?")]
    Database(#[from] sqlx::Error),
    /// There is no such key, or it is of no use already.
    #[error("there is no usable key with the number {0}; see order-food keys list")]
    NoSuchKey(i64),
    /// The client's name cannot be one.
    #[error("the client's name must have 1 to 200 bytes")]
    ClientName,
    /// No random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// The answer could not be written.
    #[error("the answer could not be written")]
    Output(#[from] io::Error),
}

#[derive(Debug, Serialize, sqlx::FromRow)]
struct Listed {
    id: i64,
    client: String,
    scopes: String,
    source: String,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    retired_at: Option<i64>,
    last_used_at: Option<i64>,
    created_at: i64,
    #[serde(skip)]
    pepper_fingerprint: Vec<u8>,
    #[sqlx(skip)]
    state: &'static str,
}

const LIST: &str = "select k.id, c.name as client, k.scopes, k.source, k.expires_at, k.revoked_at, k.retired_at, \
                    k.last_used_at, k.created_at, k.pepper_fingerprint from api_keys k join api_clients c on c.id = k.client_id order by k.id";
const CLIENT: &str = "insert into api_clients (name, source, created_at, updated_at) values ($1, 'command', $2, $2) \
                      on conflict (name) do update set name = excluded.name returning id";
const CREATE: &str = "insert into api_keys (client_id, key_hash, pepper_fingerprint, scopes, source, expires_at, created_at, \
                      updated_at) values ($1, $2, $3, $4, 'command', $5, $6, $6) returning id";
const REVOKE: &str = "update api_keys set revoked_at = $2, updated_at = $2 where id = $1 and revoked_at is null \
                      and retired_at is null returning client_id, scopes, expires_at";
const TELL: &str = "update change_counters set api_keys = api_keys + 1";

/// Works on the keys of one database.
pub struct Keys<'k> {
    /// Which database.
    pub url: &'k DatabaseUrl,
    /// What keys are hashed under.
    pub pepper: &'k Pepper,
    /// What "now" is.
    pub clock: &'k dyn Clock,
}

impl Keys<'_> {
    const WAIT: Duration = Duration::from_secs(5);

    /// Does what the command says and writes what there is to say about it.
    pub async fn run(&self, command: &KeysCommand, out: &mut dyn Write) -> Result<(), KeysError> {
        let access = match command {
            KeysCommand::List { .. } => Access::AnyServer,
            KeysCommand::Create(_) | KeysCommand::Revoke { .. } | KeysCommand::Rotate { .. } => Access::Write,
        };
        let mut session = Session::open_existing(self.url, "order-food keys", access, Self::WAIT).await?;
        let connection = &mut session.connection;
        match command {
            KeysCommand::Create(create) => {
                let (id, key) = self.create(connection, create).await?;
                Self::show(out, id, &key)?;
            }
            KeysCommand::List { json } => self.list(connection, *json, out).await?,
            KeysCommand::Revoke { id } => {
                let mut transaction = connection.begin_write().await?;
                self.revoke(&mut transaction, *id).await?;
                tell(&mut transaction).await?;
                transaction.commit().await?;
                writeln!(out, "revoked {id}")?;
            }
            KeysCommand::Rotate { id } => {
                let (new, key) = self.rotate(connection, *id).await?;
                writeln!(out, "revoked {id}")?;
                Self::show(out, new, &key)?;
            }
        }
        session.close().await;
        Ok(())
    }

    /// The only time that a key is seen.
    fn show(out: &mut dyn Write, id: i64, key: &str) -> Result<(), KeysError> {
        Ok(writeln!(out, "created {id}\n{key}")?)
    }

    async fn create(
        &self,
        connection: &mut Connection,
        create: &CreateArgs,
    ) -> Result<(i64, String), KeysError> {
        if !(1..=200).contains(&create.client.len()) {
            return Err(KeysError::ClientName);
        }
        let now = self.clock.now().micros();
        let mut transaction = connection.begin_write().await?;
        let client_id: i64 = on_engine!(transaction.connection(), connection => {
            sqlx::query_scalar(CLIENT).bind(&create.client).bind(now).fetch_one(connection).await?
        });
        let expires_at = create.expires_at.map(Timestamp::micros);
        let created =
            self.insert(&mut transaction, client_id, &create.scopes.to_string(), expires_at).await?;
        tell(&mut transaction).await?;
        transaction.commit().await?;
        Ok(created)
    }

    async fn rotate(&self, connection: &mut Connection, id: i64) -> Result<(i64, String), KeysError> {
        let mut transaction = connection.begin_write().await?;
        let (client_id, scopes, expires_at) = self.revoke(&mut transaction, id).await?;
        let created = self.insert(&mut transaction, client_id, &scopes, expires_at).await?;
        tell(&mut transaction).await?;
        transaction.commit().await?;
        Ok(created)
    }

    async fn insert(
        &self,
        transaction: &mut database::Transaction<'_>,
        client_id: i64,
        scopes: &str,
        expires_at: Option<i64>,
    ) -> Result<(i64, String), KeysError> {
        let key = new_key()?;
        let hash = self.pepper.hash(&key);
        let id = on_engine!(transaction.connection(), connection => {
            sqlx::query_scalar(CREATE)
                .bind(client_id)
                .bind(&hash.as_bytes()[..])
                .bind(&self.pepper.fingerprint()[..])
                .bind(scopes)
                .bind(expires_at)
                .bind(self.clock.now().micros())
                .fetch_one(connection)
                .await?
        });
        Ok((id, key))
    }

    async fn revoke(
        &self,
        transaction: &mut database::Transaction<'_>,
        id: i64,
    ) -> Result<(i64, String, Option<i64>), KeysError> {
        let now = self.clock.now().micros();
        let revoked = on_engine!(transaction.connection(), connection => {
            sqlx::query_as(REVOKE).bind(id).bind(now).fetch_optional(connection).await?
        });
        revoked.ok_or(KeysError::NoSuchKey(id))
    }

    /// What an API with this pepper makes of the key.
    fn state(&self, key: &Listed) -> &'static str {
        if key.revoked_at.is_some() {
            "revoked"
        } else if key.retired_at.is_some() {
            "retired"
        } else if key.expires_at.is_some_and(|at| at <= self.clock.now().micros()) {
            "expired"
        } else if key.pepper_fingerprint != self.pepper.fingerprint() {
            "other pepper"
        } else {
            "usable"
        }
    }

    async fn list(
        &self,
        connection: &mut Connection,
        json: bool,
        out: &mut dyn Write,
    ) -> Result<(), KeysError> {
        let mut keys: Vec<Listed> =
            on_engine!(connection, connection => sqlx::query_as(LIST).fetch_all(connection).await?);
        for key in &mut keys {
            key.state = self.state(key);
        }
        if json {
            serde_json::to_writer_pretty(&mut *out, &keys).map_err(io::Error::from)?;
            return Ok(writeln!(out)?);
        }
        let moment = |micros: Option<i64>| {
            micros.map_or_else(|| "-".to_owned(), |micros| Timestamp::from_micros(micros).to_string())
        };
        writeln!(
            out,
            "{:>6}  {:<24}  {:<36}  {:<12}  {:<24}  {:<24}",
            "id", "client", "scopes", "state", "expires", "last used"
        )?;
        for key in keys {
            let (expires, used) = (moment(key.expires_at), moment(key.last_used_at));
            writeln!(
                out,
                "{:>6}  {:<24}  {:<36}  {:<12}  {expires:<24}  {used:<24}",
                key.id, key.client, key.scopes, key.state
            )?;
        }
        Ok(())
    }
}

async fn tell(transaction: &mut database::Transaction<'_>) -> Result<(), sqlx::Error> {
    on_engine!(transaction.connection(), connection => sqlx::query(TELL).execute(connection).await.map(drop))
}

/// 192 random bits, recognizable by their first letters.
fn new_key() -> Result<String, KeysError> {
    let mut random = [0; 24];
    getrandom::fill(&mut random).map_err(|_| KeysError::Random)?;
    Ok(random.iter().fold("of_".to_owned(), |key, byte| key + &format!("{byte:02x}")))
}
