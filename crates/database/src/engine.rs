//! PostgreSQL or SQLite: one value for either, and one body of code for both.

use sqlx::{PgConnection, Postgres, Sqlite, SqliteConnection};

/// Something of PostgreSQL or the same thing of SQLite.
#[derive(Debug, Clone)]
pub enum Engine<P, S> {
    /// PostgreSQL's.
    Postgres(P),
    /// SQLite's.
    Sqlite(S),
}

/// Evaluates one expression for whichever engine the value is of; the name is bound to what the engine holds.
///
/// SQL that both engines accept is written once this way: `$1` binds, `returning`, `on conflict`.
#[macro_export]
macro_rules! on_engine {
    ($engine:expr, $held:pat => $body:expr) => {
        match $engine {
            $crate::Engine::Postgres($held) => $body,
            $crate::Engine::Sqlite($held) => $body,
        }
    };
}

/// A connection that the holder has to itself.
pub type Connection = Engine<PgConnection, SqliteConnection>;
/// A connection on loan.
pub type ConnectionRef<'c> = Engine<&'c mut PgConnection, &'c mut SqliteConnection>;
/// A transaction; dropping it without [`Transaction::commit`] rolls back.
pub type Transaction<'c> = Engine<sqlx::Transaction<'c, Postgres>, sqlx::Transaction<'c, Sqlite>>;

/// One statement where the engines need different words.
#[derive(Debug, Clone, Copy)]
pub struct Statement {
    /// What PostgreSQL is told.
    pub postgres: &'static str,
    /// What SQLite is told.
    pub sqlite: &'static str,
}

impl Statement {
    /// The words for the engine that this value is of.
    pub const fn on<P, S>(self, engine: &Engine<P, S>) -> &'static str {
        match engine {
            Engine::Postgres(_) => self.postgres,
            Engine::Sqlite(_) => self.sqlite,
        }
    }
}

impl<P, S> Engine<P, S> {
    /// What is inside, borrowed for change.
    pub const fn as_mut(&mut self) -> Engine<&mut P, &mut S> {
        match self {
            Self::Postgres(held) => Engine::Postgres(held),
            Self::Sqlite(held) => Engine::Sqlite(held),
        }
    }

    /// The engine's name as semantic conventions spell it (`db.system.name`).
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgresql",
            Self::Sqlite(_) => "sqlite",
        }
    }
}

/// SQLite takes the write lock at once: a transaction that reads first and writes later would fail with "busy"
/// without waiting for its turn.
pub(crate) const BEGIN_WRITE: Statement = Statement { postgres: "begin", sqlite: "begin immediate" };

impl<'c> ConnectionRef<'c> {
    /// Starts a transaction that is going to write.
    pub async fn begin_write(self) -> Result<Transaction<'c>, sqlx::Error> {
        use sqlx::Connection as _;
        let begin = BEGIN_WRITE.on(&self);
        Ok(match self {
            Self::Postgres(connection) => Engine::Postgres(connection.begin_with(begin).await?),
            Self::Sqlite(connection) => Engine::Sqlite(connection.begin_with(begin).await?),
        })
    }

    /// The same connection on a shorter loan.
    pub const fn reborrow(&mut self) -> ConnectionRef<'_> {
        match self {
            Self::Postgres(connection) => Engine::Postgres(connection),
            Self::Sqlite(connection) => Engine::Sqlite(connection),
        }
    }
}

impl Connection {
    /// Starts a transaction that is going to write.
    pub async fn begin_write(&mut self) -> Result<Transaction<'_>, sqlx::Error> {
        self.as_mut().begin_write().await
    }
}

impl Transaction<'_> {
    /// The connection inside.
    pub fn connection(&mut self) -> ConnectionRef<'_> {
        match self {
            Self::Postgres(transaction) => Engine::Postgres(transaction),
            Self::Sqlite(transaction) => Engine::Sqlite(transaction),
        }
    }

    /// Makes it all durable.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        on_engine!(self, transaction => transaction.commit().await)
    }
}
