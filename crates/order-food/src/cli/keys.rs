//! `order-food keys create|list|revoke|rotate`: API keys from the command line. Running APIs follow within a second.

mod list;

use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, Subcommand};
use database::{Access, ConnectError, Connection, DatabaseUrl, Session, Transaction};
use domain::{ClientId, Clock, Pepper, Scopes, Timestamp};
use storage::key_administration::{self, NewKey, RevokedKey};
use storage::{Changed, StorageError, change_counters};

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
    Storage(#[from] StorageError),
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
    NotStored(#[source] StorageError),
}

/// Works on the keys of one database.
pub struct KeyCommands<'k> {
    /// Which database.
    pub url: &'k DatabaseUrl,
    /// What keys are hashed under.
    pub pepper: &'k Pepper,
    /// What "now" is.
    pub clock: &'k dyn Clock,
}

impl KeyCommands<'_> {
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
                let mut transaction = begin(connection).await?;
                self.revoke(&mut transaction, *id).await?;
                change_counters::bump(&mut transaction, Changed::ApiKeys).await?;
                transaction.commit().await.map_err(StorageError::from)?;
                writeln!(out, "revoked {id}")?;
            }
            KeysCommand::Rotate { id } => self.rotate(connection, *id, out).await?,
        }
        Ok(out.flush()?)
    }

    /// Shows a new key and then stores it: a key that could not be shown must not work. It is never shown again.
    async fn keep(
        mut transaction: Transaction<'_>,
        shown: String,
        out: &mut dyn Write,
    ) -> Result<(), KeysError> {
        change_counters::bump(&mut transaction, Changed::ApiKeys).await?;
        out.write_all(shown.as_bytes()).and_then(|()| out.flush()).map_err(KeysError::NotShown)?;
        transaction.commit().await.map_err(|error| KeysError::NotStored(error.into()))
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
        let mut transaction = begin(connection).await?;
        let now = self.clock.now();
        let client_id = key_administration::ensure_client(&mut transaction, &create.client, now).await?;
        let scopes = create.scopes.to_string();
        let (id, key) = self.insert(&mut transaction, client_id, &scopes, create.expires_at).await?;
        Self::keep(transaction, format!("created {id}\n{key}\n"), out).await
    }

    async fn rotate(
        &self,
        connection: &mut Connection,
        id: i64,
        out: &mut dyn Write,
    ) -> Result<(), KeysError> {
        let mut transaction = begin(connection).await?;
        let old = self.revoke(&mut transaction, id).await?;
        let (new, key) = self.insert(&mut transaction, old.client_id, &old.scopes, old.expires_at).await?;
        Self::keep(transaction, format!("revoked {id}\ncreated {new}\n{key}\n"), out).await
    }

    async fn insert(
        &self,
        transaction: &mut Transaction<'_>,
        client_id: ClientId,
        scopes: &str,
        expires_at: Option<Timestamp>,
    ) -> Result<(i64, String), KeysError> {
        let key = new_key()?;
        let (hash, pepper_fingerprint) = (self.pepper.hash(&key), self.pepper.fingerprint());
        let new = NewKey { client_id, hash, pepper_fingerprint: &pepper_fingerprint, scopes, expires_at };
        Ok((key_administration::insert(transaction, &new, self.clock.now()).await?, key))
    }

    async fn revoke(&self, transaction: &mut Transaction<'_>, id: i64) -> Result<RevokedKey, KeysError> {
        let revoked = key_administration::revoke(transaction, id, self.clock.now()).await?;
        revoked.ok_or(KeysError::NoSuchKey(id))
    }
}

async fn begin(connection: &mut Connection) -> Result<Transaction<'_>, StorageError> {
    Ok(connection.begin_write().await?)
}

/// 192 random bits, recognizable by their first letters.
fn new_key() -> Result<String, KeysError> {
    let mut random = [0; 24];
    getrandom::fill(&mut random).map_err(|_| KeysError::Random)?;
    Ok(random.iter().fold("of_".to_owned(), |key, byte| key + &format!("{byte:02x}")))
}
