//! Locks that keep two runs of a job apart, across machines for PostgreSQL and across processes for SQLite.

use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{Connection, DatabaseUrl, Engine};

/// The lock is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody held it all the time.
    #[error("another run held the {name} lock for {waited_seconds} s ({holder})")]
    TimedOut {
        /// Which lock.
        name: &'static str,
        /// How long it was waited for.
        waited_seconds: u64,
        /// Who holds it, as far as known.
        holder: String,
    },
    /// The database could not be asked.
    #[error("the lock could not be asked for")]
    Database(#[from] sqlx::Error),
    /// The lock file beside the SQLite database cannot be used.
    #[error("the lock file {file} cannot be used", file = .0.display())]
    File(PathBuf, #[source] io::Error),
}

/// A lock for one kind of job. PostgreSQL: a session advisory lock; SQLite: a locked file beside the database.
#[derive(Debug, Clone, Copy)]
pub struct JobLock {
    /// What it is called in messages and in the name of the lock file.
    pub name: &'static str,
    /// PostgreSQL's advisory lock key.
    pub key: i64,
}

/// Holds the lock until dropped (SQLite) or until the session ends or [`JobLock::release`] is called (PostgreSQL).
#[derive(Debug)]
pub struct JobLockGuard(Option<File>);

impl JobLock {
    const POLL_INTERVAL: Duration = Duration::from_millis(250);

    /// Waits up to `wait` for the lock. Polls: a session blocked in `pg_advisory_lock` holds a snapshot for as long,
    /// which statements of the run that has the lock may have to wait for.
    pub async fn acquire(
        self,
        url: &DatabaseUrl,
        connection: &mut Connection,
        wait: Duration,
    ) -> Result<JobLockGuard, LockError> {
        let deadline = Instant::now() + wait;
        let mut announced = false;
        loop {
            if let Some(guard) = self.try_acquire(url, connection).await? {
                return Ok(guard);
            }
            if !announced || Instant::now() >= deadline {
                let holder = self.holder(connection).await?;
                if Instant::now() >= deadline {
                    return Err(LockError::TimedOut {
                        name: self.name,
                        waited_seconds: wait.as_secs(),
                        holder,
                    });
                }
                tracing::info!(lock = self.name, holder, "waiting for another run to finish");
                announced = true;
            }
            // Runs that started together ask at different moments.
            let jitter = Duration::from_millis(u64::from(std::process::id() % 50));
            sleep(Self::POLL_INTERVAL + jitter).await; // ok: polling with a deadline
        }
    }

    async fn try_acquire(
        self,
        url: &DatabaseUrl,
        connection: &mut Connection,
    ) -> Result<Option<JobLockGuard>, LockError> {
        match (connection, url.sqlite_file()) {
            (Engine::Postgres(connection), _) => {
                let locked: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)")
                    .bind(self.key)
                    .fetch_one(connection)
                    .await?;
                Ok(locked.then_some(JobLockGuard(None)))
            }
            (Engine::Sqlite(_), None) => Ok(Some(JobLockGuard(None))),
            (Engine::Sqlite(_), Some(database)) => {
                let mut path = database.as_os_str().to_owned();
                path.push(format!("-{}.lock", self.name));
                let path = PathBuf::from(path);
                let failed = |error| LockError::File(path.clone(), error);
                let file =
                    File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
                match file.try_lock() {
                    Ok(()) => Ok(Some(JobLockGuard(Some(file)))),
                    Err(TryLockError::WouldBlock) => Ok(None),
                    Err(TryLockError::Error(error)) => Err(failed(error)),
                }
            }
        }
    }

    async fn holder(self, connection: &mut Connection) -> Result<String, sqlx::Error> {
        let Engine::Postgres(connection) = connection else {
            return Ok("another process".to_owned());
        };
        // PostgreSQL shows a 64-bit key as its two halves.
        let holder: Option<String> = sqlx::query_scalar(
            "select format('%s from %s, pid %s, since %s', application_name, coalesce(client_addr::text, 'a local socket'), \
             l.pid, to_char(backend_start at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')) \
             from pg_locks l join pg_stat_activity a on a.pid = l.pid \
             where l.locktype = 'advisory' and l.granted and l.objsubid = 1 \
             and l.database = (select oid from pg_database where datname = current_database()) \
             and ((l.classid::bigint << 32) | l.objid::bigint) = $1",
        )
        .bind(self.key)
        .fetch_optional(connection)
        .await?;
        Ok(holder.unwrap_or_else(|| "released just now".to_owned()))
    }

    /// Gives the lock back before the session ends.
    pub async fn release(self, guard: JobLockGuard, connection: &mut Connection) -> Result<(), sqlx::Error> {
        drop(guard);
        if let Engine::Postgres(connection) = connection {
            sqlx::query("select pg_advisory_unlock($1)").bind(self.key).execute(connection).await?;
        }
        Ok(())
    }
}

impl Drop for JobLockGuard {
    fn drop(&mut self) {
        // Closing the file unlocks it; the file itself stays, for removing it would let two runs lock different files.
        self.0.take();
    }
}
