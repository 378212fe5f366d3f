//! One connection for a job, and the means to stop what it is doing.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use tokio::time::{Instant, sleep, timeout};

use crate::connect::is_worth_waiting_for;
use crate::{ConnectError, Connection, DatabaseUrl, Engine};

/// A direct connection that a job has to itself, as session locks need it.
#[derive(Debug)]
pub struct Session {
    /// The connection.
    pub connection: Connection,
    canceller: Canceller,
}

/// Ends a session from outside, whatever it is waiting for.
#[derive(Debug, Clone)]
pub struct Canceller(Option<Backend>);

#[derive(Debug, Clone)]
struct Backend {
    options: Box<PgConnectOptions>,
    process_id: i32,
}

impl Session {
    const FIRST_PAUSE: Duration = Duration::from_millis(50);
    const LONGEST_PAUSE: Duration = Duration::from_secs(2);
    const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

    /// Connects as `application`, trying again with growing pauses until `wait` is over.
    pub async fn open(url: &DatabaseUrl, application: &str, wait: Duration) -> Result<Self, ConnectError> {
        let deadline = Instant::now() + wait;
        let mut pause = Self::FIRST_PAUSE;
        loop {
            let attempt = timeout(Self::ATTEMPT_TIMEOUT.max(pause), Self::connect(url, application));
            let error = match attempt.await {
                Ok(Ok(session)) => return Ok(session),
                Ok(Err(error)) => error,
                Err(_) => sqlx::Error::PoolTimedOut,
            };
            if !is_worth_waiting_for(&error) {
                return Err(ConnectError::Refused { url: url.to_string(), cause: error });
            }
            if Instant::now() + pause >= deadline {
                let (url, waited_seconds) = (url.to_string(), wait.as_secs());
                return Err(ConnectError::Unreachable { url, waited_seconds, last: error });
            }
            tracing::info!(%url, error = %error, retry_in = ?pause, "database not reachable yet");
            sleep(pause).await; // ok: backoff with a deadline
            pause = (pause * 2).min(Self::LONGEST_PAUSE);
        }
    }

    /// Like [`Session::open`], but an SQLite file that is not there is not made: it would be a mistyped path.
    pub async fn open_existing(
        url: &DatabaseUrl,
        application: &str,
        wait: Duration,
    ) -> Result<Self, ConnectError> {
        match url.sqlite_file() {
            Some(file) if !file.exists() => Err(ConnectError::NoFile(url.to_string())),
            _ => Self::open(url, application, wait).await,
        }
    }

    /// Connects as `application`, in one attempt.
    pub async fn connect_once(url: &DatabaseUrl, application: &str) -> Result<Connection, sqlx::Error> {
        let attempt = timeout(Self::ATTEMPT_TIMEOUT, async {
            Ok(match &url.0 {
                Engine::Sqlite(file) => {
                    Engine::Sqlite(SqliteConnection::connect_with(&DatabaseUrl::sqlite_options(file)).await?)
                }
                Engine::Postgres(options) => {
                    let options = DatabaseUrl::postgres_options(options, application);
                    Engine::Postgres(PgConnection::connect_with(&options).await?)
                }
            })
        });
        attempt.await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    async fn connect(url: &DatabaseUrl, application: &str) -> Result<Self, sqlx::Error> {
        let mut connection = Self::connect_once(url, application).await?;
        let backend = match (&mut connection, &url.0) {
            (Engine::Postgres(connection), Engine::Postgres(options)) => {
                let process_id = sqlx::query_scalar("select pg_backend_pid()").fetch_one(connection).await?;
                let options = Box::new(DatabaseUrl::postgres_options(options, application));
                Some(Backend { options, process_id })
            }
            _ => None,
        };
        Ok(Self { connection, canceller: Canceller(backend) })
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
        let Some(Backend { options, process_id }) = &self.0 else {
            return;
        };
        let ended = timeout(Self::DEADLINE, async {
            let mut connection = PgConnection::connect_with(options).await?;
            sqlx::query("select pg_terminate_backend($1)").bind(process_id).execute(&mut connection).await
        });
        match ended.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "could not cancel the running statement"),
            Err(_) => tracing::warn!("no time to cancel the running statement"),
        }
    }
}
