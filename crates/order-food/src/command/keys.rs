//! `order-food keys create|list|revoke|rotate`: API keys from the command line. Running APIs follow within a second.

mod list;

use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, Subcommand};
use database::{Access, ConnectError, Connection, DatabaseUrl, Session, Transaction, on_engine};
use domain::{Clock, Named, Pepper, Scopes, Spellings, Timestamp};

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
    /// The new key could not be written.
    #[error("the key could not be written, so it was not made, and nothing was changed")]
    NotShown(#[source] io::Error),
    /// The new key was written, and then not stored.
    #[error("the key that was shown may not work: the database failed; see order-food keys list")]
    NotStored(#[source] sqlx::Error),
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

const CLIENTS: &str = "select id, name, retired_at is not null as is_retired from api_clients";
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
        let outcome = self.execute(&mut session.connection, command, out).await;
        // This is done after a failure, too: it rolls back an open transaction.
        session.close().await;
        outcome
    }

    async fn execute(
        &self,
        connection: &mut Connection,
        command: &KeysCommand,
        out: &mut dyn Write,
    ) -> Result<(), KeysError> {
        match command {
            KeysCommand::Create(create) => self.create(connection, create, out).await?,
            KeysCommand::List { json } => self.list(connection, *json, out).await?,
            KeysCommand::Revoke { id } => {
                let mut transaction = connection.begin_write().await?;
                self.revoke(&mut transaction, *id).await?;
                tell(&mut transaction).await?;
                transaction.commit().await?;
                writeln!(out, "revoked {id}")?;
            }
            KeysCommand::Rotate { id } => self.rotate(connection, *id, out).await?,
        }
        Ok(out.flush()?)
    }

    /// Shows a new key and then stores it: a key that could not be shown must not work. It is never shown again.
    async fn keep(
        mut transaction: Transaction<'_>,
        answer: String,
        out: &mut dyn Write,
    ) -> Result<(), KeysError> {
        tell(&mut transaction).await?;
        out.write_all(answer.as_bytes()).and_then(|()| out.flush()).map_err(KeysError::NotShown)?;
        transaction.commit().await.map_err(KeysError::NotStored)
    }

    async fn create(
        &self,
        connection: &mut Connection,
        create: &CreateArgs,
        out: &mut dyn Write,
    ) -> Result<(), KeysError> {
        if !(1..=200).contains(&create.client.len()) {
            return Err(KeysError::ClientName);
        }
        let mut transaction = connection.begin_write().await?;
        let client_id = self.client(&mut transaction, &create.client).await?;
        let expires_at = create.expires_at.map(Timestamp::micros);
        let (id, key) =
            self.insert(&mut transaction, client_id, &create.scopes.to_string(), expires_at).await?;
        Self::keep(transaction, format!("created {id}\n{key}\n"), out).await
    }

    async fn rotate(
        &self,
        connection: &mut Connection,
        id: i64,
        out: &mut dyn Write,
    ) -> Result<(), KeysError> {
        let mut transaction = connection.begin_write().await?;
        let (client_id, scopes, expires_at) = self.revoke(&mut transaction, id).await?;
        let (new, key) = self.insert(&mut transaction, client_id, &scopes, expires_at).await?;
        Self::keep(transaction, format!("revoked {id}\ncreated {new}\n{key}\n"), out).await
    }

    /// The client of that name, made if there is none. Names are compared as loads compare them. Of several clients,
    /// one in use is preferred.
    async fn client(&self, transaction: &mut Transaction<'_>, name: &str) -> Result<i64, KeysError> {
        let clients: Vec<ClientRow> = on_engine!(transaction.connection(), connection => {
            sqlx::query_as(CLIENTS).fetch_all(connection).await?
        });
        if let Some(client) = Spellings::new(clients).get(name) {
            return Ok(client.id);
        }
        let now = self.clock.now().micros();
        Ok(on_engine!(transaction.connection(), connection => {
            sqlx::query_scalar(CLIENT).bind(name).bind(now).fetch_one(connection).await?
        }))
    }

    async fn insert(
        &self,
        transaction: &mut Transaction<'_>,
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
        transaction: &mut Transaction<'_>,
        id: i64,
    ) -> Result<(i64, String, Option<i64>), KeysError> {
        let now = self.clock.now().micros();
        let revoked = on_engine!(transaction.connection(), connection => {
            sqlx::query_as(REVOKE).bind(id).bind(now).fetch_optional(connection).await?
        });
        revoked.ok_or(KeysError::NoSuchKey(id))
    }
}

async fn tell(transaction: &mut Transaction<'_>) -> Result<(), sqlx::Error> {
    on_engine!(transaction.connection(), connection => sqlx::query(TELL).execute(connection).await.map(drop))
}

/// 192 random bits, recognizable by their first letters.
fn new_key() -> Result<String, KeysError> {
    let mut random = [0; 24];
    getrandom::fill(&mut random).map_err(|_| KeysError::Random)?;
    Ok(random.iter().fold("of_".to_owned(), |key, byte| key + &format!("{byte:02x}")))
}
