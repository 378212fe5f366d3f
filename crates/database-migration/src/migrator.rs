//! Applying what is pending, once, whoever else tries.

use std::error::Error;
use std::time::{Duration, Instant};

use database::{Connection, ConnectionRef, DatabaseUrl, JobLock, LockError, Statement, on_engine};
use refinery_core::Target;
use telemetry::traces;
use tokio::time::sleep;
use tracing::Instrument;

use crate::engine::Runnable;
use crate::history::{Conflict, KnownMigration, SchemaState, migrations_of};

/// A run failed. What was applied before stays; a migration that failed left nothing behind.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The history contradicts this program; nothing was tried.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Conflicts(Vec<Conflict>),
    /// Another run held the lock too long.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A migration failed, or could not lock its tables in time.
    #[error("migrating failed")]
    Migration(#[source] Box<refinery_core::Error>),
    /// The database failed outside a migration.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// Knows the schema that this release needs.
#[derive(Debug, Clone, Copy)]
pub struct Migrator {
    /// How long to wait for another run.
    pub lock_wait: Duration,
}

impl Migrator {
    /// Held while migrating. The loader has another one: loading must not wait for migrating.
    const LOCK: JobLock = JobLock { name: "migration", key: 0x6f66_6d69_6772_6174 };
    /// How long one statement waits for a table that others use, before it gives up and lets them pass.
    /// SQLite locks the whole file, and waits for that as long as the connection's busy timeout says.
    const LOCK_TIMEOUT: Statement = Statement { postgres: "set lock_timeout = '5s'", sqlite: "select 1" };
    /// PostgreSQL's code for a statement that did.
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    const RETRY_PAUSE: Duration = Duration::from_secs(1);

    /// How the schema of this database compares with what this release needs.
    pub async fn state(connection: ConnectionRef<'_>) -> Result<SchemaState, sqlx::Error> {
        let runner = migrations_of(&connection);
        let mut known: Vec<_> = runner.get_migrations().iter().map(KnownMigration::from).collect();
        known.sort_by_key(|migration| migration.version);
        SchemaState::read(connection, &known).await
    }

    /// Applies what is pending and returns it. Looks first and locks only if there is work, so that a start with
    /// nothing to do costs two reads.
    pub async fn up(
        self,
        url: &DatabaseUrl,
        connection: &mut Connection,
    ) -> Result<Vec<KnownMigration>, MigrationError> {
        if Self::pending(connection).await?.is_empty() {
            return Ok(Vec::new());
        }
        let guard = Self::LOCK.acquire(url, connection, self.lock_wait).await?;
        let deadline = Instant::now() + self.lock_wait;
        let applied = loop {
            // Whoever held the lock may have done the work.
            let pending = Self::pending(connection).await?;
            if pending.is_empty() {
                break pending;
            }
            match Self::run(connection, &pending).await {
                Ok(()) => break pending,
                Err(error) if Self::is_lock_timeout(&error) && Instant::now() < deadline => {
                    tracing::info!(%error, "a table is in use; trying again");
                    sleep(Self::RETRY_PAUSE).await; // ok: retries with a deadline
                }
                Err(error) => return Err(error),
            }
        };
        Self::LOCK.release(guard, connection).await?;
        Ok(applied)
    }

    async fn pending(connection: &mut Connection) -> Result<Vec<KnownMigration>, MigrationError> {
        let state = Self::state(connection.as_mut()).await?;
        for migration in &state.newer {
            tracing::warn!(%migration, "a newer release has migrated this database; going on with its schema");
        }
        if state.conflicts.is_empty() {
            Ok(state.pending)
        } else {
            Err(MigrationError::Conflicts(state.conflicts))
        }
    }

    async fn run(connection: &mut Connection, pending: &[KnownMigration]) -> Result<(), MigrationError> {
        let prepare = Self::LOCK_TIMEOUT.on(connection);
        on_engine!(&mut *connection, connection => sqlx::query(prepare).execute(connection).await.map(drop))?;
        match connection {
            // One transaction for each migration: a long one does not hold back what came before it.
            database::Engine::Postgres(connection) => {
                Self::apply(database::Engine::Postgres(connection), pending).await
            }
            // One for all of them: it is also the lock against processes that know nothing of ours.
            sqlite @ database::Engine::Sqlite(_) => {
                let mut transaction = sqlite.begin_write().await?;
                Self::apply(transaction.connection(), pending).await?;
                Ok(transaction.commit().await?)
            }
        }
    }

    /// Applies them one by one.
    async fn apply(
        mut connection: ConnectionRef<'_>,
        pending: &[KnownMigration],
    ) -> Result<(), MigrationError> {
        for migration in pending {
            let target = Target::Version(migration.version);
            let runner = migrations_of(&connection)
                .set_abort_divergent(true)
                .set_abort_missing(false)
                .set_target(target);
            let span = migration.span(connection.name());
            let mut runnable = Runnable(connection.reborrow());
            let applied = runner.run_async(&mut runnable).instrument(span.clone()).await;
            applied.map_err(|error| {
                traces::fail(&span, "migration_failed", "the migration was rolled back");
                MigrationError::Migration(Box::new(error))
            })?;
        }
        Ok(())
    }

    fn is_lock_timeout(error: &MigrationError) -> bool {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(sqlx::Error::Database(error)) = error.downcast_ref() {
                return error.code().as_deref() == Some(Self::LOCK_NOT_AVAILABLE);
            }
            cause = error.source();
        }
        false
    }
}
