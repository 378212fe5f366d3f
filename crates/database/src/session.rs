//! One connection for a job, and the means to stop what it is doing.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use tokio::time::{Instant, sleep, timeout};

use crate::connect::is_worth_waiting_for;
use crate::postgres::{self, Access, Backend, Setting};
use crate::{ConnectError, Connection, DatabaseUrl, Engine, Unusable};

/// A direct connection that a job has to itself, as session locks need it.
#[derive(Debug)]
pub struct Session {
    /// The connection.
    pub connection: Connection,
    canceller: Canceller,
}

/// Ends a session from outside, whatever it is waiting for.
#[derive(Debug, Clone)]
pub struct Canceller(Option<(Box<PgConnectOptions>, Backend)>);

impl Session {
    const FIRST_PAUSE: Duration = Duration::from_millis(50);
    const LONGEST_PAUSE: Duration = Duration::from_secs(2);
    const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

    /// Connects as `application` in order to write, trying again with growing pauses until `wait` is over.
    pub async fn open(url: &DatabaseUrl, application: &str, wait: Duration) -> Result<Self, ConnectError> {
        Self::open_for(url, application, Access::Write, wait).await
    }

    async fn open_for(
        url: &DatabaseUrl,
        application: &str,
        access: Access,
        wait: Duration,
    ) -> Result<Self, ConnectError> {
        let deadline = Instant::now() + wait;
        let mut pause = Self::FIRST_PAUSE;
        let attempt_timeout = url.connect_timeout().unwrap_or(Self::ATTEMPT_TIMEOUT);
        loop {
            let attempt = timeout(attempt_timeout.max(pause), Self::connect(url, application, access));
            let error = match attempt.await {
                Ok(Ok(session)) => return Ok(session),
                Ok(Err(error)) => error,
                Err(_) => sqlx::Error::PoolTimedOut,
            };
            let (unusable, may_pass) = (Unusable::of(&error), is_worth_waiting_for(&error));
            if !may_pass || Instant::now() + pause >= deadline {
                let (url, waited_seconds) = (url.to_string(), wait.as_secs());
                return Err(match unusable {
                    Some(cause) => ConnectError::Unusable { url, cause },
                    None if may_pass => ConnectError::Unreachable { url, waited_seconds, last: error },
                    None => ConnectError::Refused { url, cause: error },
                });
            }
            if unusable.is_some() {
                tracing::info!(%url, %error, retry_in = ?pause, "the database cannot be used yet");
            } else {
                tracing::info!(%url, %error, retry_in = ?pause, "database not reachable yet");
            }
            sleep(pause).await; // ok: backoff with a deadline
            pause = (pause * 2).min(Self::LONGEST_PAUSE);
        }
    }

    /// Like [`Session::open`], but an SQLite file that is not there is not made: it would be a mistyped path. `access`
    /// is the use that the session is for.
    pub async fn open_existing(
        url: &DatabaseUrl,
        application: &str,
        access: Access,
        wait: Duration,
    ) -> Result<Self, ConnectError> {
        match url.sqlite_file() {
            Some(file) if !file.exists() => Err(ConnectError::NoFile(url.to_string())),
            _ => Self::open_for(url, application, access, wait).await,
        }
    }

    /// Connects as `application`, in one attempt. `settings` are set beside those of every session. Also returns
    /// PostgreSQL's process. Without `is_checked`, the caller has yet to call [`Session::check_is_direct`].
    pub async fn connect_once(
        url: &DatabaseUrl,
        application: &str,
        access: Access,
        settings: &[Setting],
        is_checked: bool,
    ) -> Result<(Connection, Option<Backend>), sqlx::Error> {
        let attempt = timeout(url.connect_timeout().unwrap_or(Self::ATTEMPT_TIMEOUT), async {
            Ok(match &url.0 {
                Engine::Sqlite(file) => {
                    let options = DatabaseUrl::sqlite_options(file);
                    (Engine::Sqlite(SqliteConnection::connect_with(&options).await?), None)
                }
                Engine::Postgres(options) => {
                    let options = DatabaseUrl::postgres_options(options, application);
                    let mut connection = PgConnection::connect_with(&options).await?;
                    // This comes first: settings in a session that a pooler shares would hold for others, too.
                    if is_checked {
                        postgres::check_is_direct(&mut connection, &options).await?;
                    }
                    let backend = postgres::set_up(&mut connection, access, settings).await?;
                    (Engine::Postgres(connection), Some(backend))
                }
            })
        });
        attempt.await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// Checks that no pooler changes the session behind this connection with each transaction. The connection was made
    /// as `application`.
    pub async fn check_is_direct(
        url: &DatabaseUrl,
        application: &str,
        connection: &mut Connection,
    ) -> Result<(), sqlx::Error> {
        match (connection, &url.0) {
            (Engine::Postgres(connection), Engine::Postgres(options)) => {
                let options = DatabaseUrl::postgres_options(options, application);
                postgres::check_is_direct(connection, &options).await
            }
            (Engine::Postgres(_) | Engine::Sqlite(_), _) => Ok(()),
        }
    }

    /// Checks that the session behind the connection is still that of `backend`, on a primary and not read-only.
    pub async fn check_is_same(connection: &mut Connection, backend: &Backend) -> Result<(), sqlx::Error> {
        let Engine::Postgres(connection) = connection else { return Ok(()) };
        let is_same = postgres::look_at(connection).await? == backend.pid;
        if is_same { Ok(()) } else { Err(Unusable::Pooled.into()) }
    }

    async fn connect(url: &DatabaseUrl, application: &str, access: Access) -> Result<Self, sqlx::Error> {
        let is_checked = access == Access::Write;
        let (connection, backend) = Self::connect_once(url, application, access, &[], is_checked).await?;
        let canceller = match (backend, &url.0) {
            (Some(backend), Engine::Postgres(options)) => {
                Some((Box::new(DatabaseUrl::postgres_options(options, application)), backend))
            }
            (Some(_) | None, _) => None,
        };
        Ok(Self { connection, canceller: Canceller(canceller) })
    }

    /// What ends this session from outside.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Says goodbye to the database.
    pub async fn close(self) {
        let closed = match self.connection {
            Engine::Postgres(connection) => connection.close().await,
            Engine::Sqlite(connection) => connection.close().await,
        };
        if let Err(error) = closed {
            tracing::debug!(%error, "the session's end was not heard");
        }
    }
}

impl Canceller {
    const DEADLINE: Duration = Duration::from_millis(700);

    /// Has PostgreSQL end the session: its statement is cancelled, its transaction rolled back, its locks released.
    /// SQLite needs nothing: an open transaction ends with the process.
    pub async fn cancel(&self) {
        let Some((options, backend)) = &self.0 else {
            return;
        };
        let ended = timeout(Self::DEADLINE, async {
            let mut connection = PgConnection::connect_with(options).await?;
            sqlx::query("select pg_terminate_backend($1)").bind(backend.pid).execute(&mut connection).await
        });
        match ended.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "could not cancel the running statement"),
            Err(_) => tracing::warn!("no time to cancel the running statement"),
        }
    }
}
