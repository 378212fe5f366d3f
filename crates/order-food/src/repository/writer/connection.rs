//! The writer's own connection, made when needed: storing a batch on it, and asking it what a lost one has stored.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use database::{Access, Backend, Connection, DatabaseUrl, Engine, Session, SqliteFile, Unusable, on_engine};
use sqlx::Connection as _;
use telemetry::traces;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::super::NewOrder;
use super::super::client::Place;
use super::batch::Outcomes;
use super::status::Status;
use super::{postgres, sqlite};

/// A connection that is made again when it was lost.
pub(super) struct Store {
    url: DatabaseUrl,
    place: Place,
    status: Arc<Status>,
    connection: Option<Connection>,
    used_at: Instant,
    /// Whether the connection has seen every statement.
    is_prepared: bool,
    /// Whether the connection was seen to have a session to itself.
    is_direct: bool,
    /// When the session behind the connection was last looked at.
    looked_at: Instant,
    /// PostgreSQL's process behind the present connection.
    backend: Option<Backend>,
    /// Processes behind connections that were lost with a commit under way: they may still be at it.
    lost: Vec<Backend>,
    /// SQLite's file.
    file: Option<SqliteFile>,
    /// Whether SQLite's write-ahead log was removed: other connections do not see what is written from then on.
    is_log_gone: bool,
}

const APPLICATION: &str = "order-food-writer";

impl Store {
    /// How long storing a batch may take. Whoever hears nothing by then does not know the outcome.
    const STATEMENT_DEADLINE: Duration = Duration::from_millis(1500);

    pub(super) fn new(url: DatabaseUrl, status: Arc<Status>) -> Self {
        Self {
            place: Place::of(&url),
            file: url.sqlite_file().map(SqliteFile::new),
            url,
            status,
            connection: None,
            used_at: Instant::now(),
            is_prepared: false,
            is_direct: false,
            looked_at: Instant::now(),
            backend: None,
            lost: Vec::new(),
            is_log_gone: false,
        }
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Whether there is a connection that need not be tried first.
    pub(super) fn is_trusted(&self) -> bool {
        self.connection.is_some() && self.used_at.elapsed() <= Self::TRUSTED_IDLE
    }

    /// After so long without use a connection is tried before an order is entrusted to it.
    const TRUSTED_IDLE: Duration = Duration::from_millis(250);
    const PING_DEADLINE: Duration = Duration::from_millis(400);

    /// How long connecting may take, and after that preparing, where nobody waits for it yet, and where a batch does.
    const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
    const RECONNECT_DEADLINE: Duration = Duration::from_millis(250);

    /// How long it may take to see which counters are held.
    const LOOK_DEADLINE: Duration = Duration::from_millis(750);

    /// How long a commit that confirms others may take; shorter where orders have waited for theirs already.
    pub(super) const CONFIRM_DEADLINE: Duration = Self::STATEMENT_DEADLINE;
    pub(super) const CONFIRM_FOUND_DEADLINE: Duration = Duration::from_millis(150);

    /// How long a connection in use goes without a look whether it still has the same session.
    const LOOK_PAUSE: Duration = Duration::from_secs(1);

    /// Connects and prepares while nobody waits.
    pub(super) async fn connect_ahead(&mut self) -> Result<(), sqlx::Error> {
        let connected = self.connect_and_prepare().await;
        self.status.set_unusable(connected.as_ref().err().and_then(Unusable::of));
        connected
    }

    async fn connect_and_prepare(&mut self) -> Result<(), sqlx::Error> {
        self.connect(Self::CONNECT_DEADLINE, true).await?;
        if self.is_prepared {
            return Ok(());
        }
        let prepared = self.prepare().await;
        if prepared.is_err() {
            self.disconnect();
        }
        (self.is_prepared, self.used_at) = (prepared.is_ok(), Instant::now());
        prepared
    }

    async fn prepare(&mut self) -> Result<(), sqlx::Error> {
        self.make_direct(Self::CONNECT_DEADLINE).await?;
        if let Some(Engine::Postgres(connection)) = &mut self.connection {
            if !self.lost.is_empty() {
                within(Self::CONNECT_DEADLINE, postgres::end(connection, &self.lost)).await?;
                self.lost.clear();
            }
            within(Self::CONNECT_DEADLINE, postgres::prepare_statements(connection)).await?;
        }
        Ok(())
    }

    /// Connects while somebody waits, for asking: orders need [`Self::make_direct`], too.
    pub(super) async fn reconnect(&mut self) -> Result<(), sqlx::Error> {
        self.connect(Self::RECONNECT_DEADLINE, false).await
    }

    /// Checks that the connection has a session to itself, if that is not known.
    async fn make_direct(&mut self, deadline: Duration) -> Result<(), sqlx::Error> {
        let (false, Some(connection)) = (self.is_direct, &mut self.connection) else { return Ok(()) };
        let checking = Session::check_is_direct(&self.url, APPLICATION, connection);
        let checked = within(2 * deadline, checking).await;
        if checked.is_err() {
            self.disconnect();
        }
        self.is_direct = checked.is_ok();
        checked
    }

    /// Connects if there is no connection, or none that answers, or if it has another session. `deadline` holds for each of
    /// the two or, `is_checked`, three steps.
    async fn connect(&mut self, deadline: Duration, is_checked: bool) -> Result<(), sqlx::Error> {
        let is_due =
            self.used_at.elapsed() > Self::TRUSTED_IDLE || self.looked_at.elapsed() > Self::LOOK_PAUSE;
        if let (true, Some(connection)) = (is_due, &mut self.connection) {
            let looking = async {
                match (connection, &self.backend) {
                    (connection, Some(backend)) => Session::check_is_same(connection, backend).await,
                    (connection, None) => on_engine!(connection, connection => connection.ping().await),
                }
            };
            if within(Self::PING_DEADLINE, looking).await.is_err() {
                self.disconnect();
            }
            self.looked_at = Instant::now();
        }
        self.used_at = Instant::now();
        if self.connection.is_some() {
            return Ok(());
        }
        // A new connection would make a file that is missing.
        self.check_file()?;
        let settings = postgres::SETTINGS;
        let connecting = Session::connect_once(&self.url, APPLICATION, Access::Write, settings, is_checked);
        let steps = if is_checked { 3 } else { 2 };
        let (mut connection, backend) = within(steps * deadline, connecting).await?;
        if let (Engine::Sqlite(connection), Some(file)) = (&mut connection, &self.file) {
            within(deadline, sqlite::open_log(connection)).await?;
            file.opened();
            self.status.set_log(Some(file.write_ahead_log()));
        }
        self.is_direct = is_checked || backend.is_none();
        (self.connection, self.backend, self.is_prepared) = (Some(connection), backend, false);
        self.looked_at = Instant::now();
        Ok(())
    }

    fn disconnect(&mut self) {
        self.connection = None;
        self.status.set_log(None);
    }

    /// Whether SQLite's paths name the files that are open: what is written into others is gone with the process.
    fn check_file(&self) -> Result<(), Unusable> {
        if self.is_log_gone {
            return Err(Unusable::Replaced);
        }
        let Some(file) = &self.file else { return Ok(()) };
        file.check()?;
        self.status.check_log()
    }

    /// Where only the log is gone, what was acknowledged is saved into the file.
    async fn save_log(&mut self) {
        let is_log_gone = self.status.check_log().is_err();
        let has_file = self.file.as_ref().is_some_and(|file| file.check().is_ok());
        if let (true, Some(Engine::Sqlite(connection))) = (is_log_gone && has_file, &mut self.connection) {
            let saved = within(Self::STATEMENT_DEADLINE, sqlite::checkpoint(connection)).await;
            let cause = saved.as_ref().err().map(|error| telemetry::causes(error));
            tracing::error!(cause, is_saved = saved.is_ok(), "SQLite's -wal was removed while it was in use");
            self.is_log_gone = true;
        }
    }

    /// Stores the orders in one transaction. Says of each what became of it.
    pub(super) async fn store(&mut self, orders: &[&NewOrder]) -> Result<Outcomes, sqlx::Error> {
        // Nothing was sent yet: a failure here is certainly none of the orders'.
        let connected = match self.reconnect().await {
            Ok(()) => self.make_direct(Self::RECONNECT_DEADLINE).await,
            Err(error) => Err(error),
        };
        if let Err(error) = connected {
            tracing::warn!(cause = telemetry::causes(&error), "the order writer has no database");
            return Err(Unusable::of(&error).map_or(sqlx::Error::PoolTimedOut, Into::into));
        }
        if let Err(replaced) = self.check_file() {
            self.save_log().await;
            self.disconnect();
            return Err(replaced.into());
        }
        let Some(connection) = &mut self.connection else { return Err(sqlx::Error::PoolTimedOut) };
        let span = self.place.span("INSERT", "orders", None);
        traces::set(&span, "db.operation.batch.size", i64::try_from(orders.len()).unwrap_or(i64::MAX));
        let storing = async {
            match connection {
                Engine::Postgres(connection) => postgres::store(connection, orders).await,
                Engine::Sqlite(connection) => sqlite::store(connection, orders).await,
            }
        };
        let storing = timeout(Self::STATEMENT_DEADLINE, storing);
        let (stored, has_warned) = telemetry::with_server_warnings(storing).await;
        let mut outcome = stored.unwrap_or(Err(sqlx::Error::WorkerCrashed));
        // A commit that did not wait for its standbys to the end says so in a warning; one into a file that was removed
        // says nothing.
        if outcome.is_ok() && (has_warned || self.check_file().is_err()) {
            outcome = Err(sqlx::Error::WorkerCrashed);
        }
        if let Err(error) = &outcome {
            traces::fail(&span, "not_stored", "");
            if let Some(code) = database::response_code(error) {
                traces::set(&span, "db.response.status_code", code);
            }
        }
        self.used_at = Instant::now();
        let is_lost =
            |error: &sqlx::Error| !database::is_certainly_not_done(error) || database::is_unavailable(error);
        if outcome.as_ref().is_err_and(is_lost) {
            self.save_log().await;
            self.lose();
        }
        outcome
    }

    /// Gives up a connection with a commit under way.
    pub(super) fn lose(&mut self) {
        self.disconnect();
        self.lost.extend(self.backend.take());
    }

    /// Which of the counters somebody else holds at this moment, and their versions.
    pub(super) async fn held_counters(
        &mut self,
        counters: Vec<String>,
    ) -> Result<HashMap<String, String>, sqlx::Error> {
        let Some(Engine::Postgres(connection)) = &mut self.connection else {
            // Only PostgreSQL locks counters.
            return Ok(HashMap::new());
        };
        let held = within(Self::LOOK_DEADLINE, postgres::held_counters(connection, &counters)).await;
        self.used_at = Instant::now();
        match held {
            // The table is locked.
            Err(failure) if database::is_worth_a_retry(&failure) => {
                Ok(counters.into_iter().map(|counter| (counter, String::new())).collect())
            }
            Err(failure) => {
                self.disconnect();
                Err(failure)
            }
            Ok(held) => Ok(held),
        }
    }

    /// Which of the ids are there, after a connection was lost.
    pub(super) async fn look_for(&mut self, ids: &[Uuid]) -> Result<Looked, sqlx::Error> {
        self.reconnect().await?;
        let found = match &mut self.connection {
            None => return Err(sqlx::Error::PoolTimedOut),
            Some(Engine::Sqlite(connection)) => sqlite::stored_ids(connection, ids).await,
            Some(Engine::Postgres(connection)) if self.lost.is_empty() => {
                postgres::stored_ids(connection, ids).await
            }
            Some(Engine::Postgres(connection)) => match postgres::end(connection, &self.lost).await {
                Ok(()) => postgres::stored_ids(connection, ids).await,
                Err(error) => Err(error),
            },
        };
        match &found {
            Ok(_) => self.lost.clear(),
            Err(_) => self.disconnect(),
        }
        let is_final = matches!(self.connection, Some(Engine::Postgres(_)));
        Ok(Looked { stored: found?, is_final })
    }

    /// Whether all that was seen to be stored is as safe as the server promises: a commit begun now has passed. One
    /// that is waited for in vain is ended with the next connection.
    pub(super) async fn confirm(&mut self, deadline: Duration) -> bool {
        let passing = async {
            match &mut self.connection {
                // What others see is on the disk.
                Some(Engine::Sqlite(_)) => Ok(()),
                Some(Engine::Postgres(connection)) => postgres::confirm(connection).await,
                None => Err(sqlx::Error::PoolTimedOut),
            }
        };
        let passing = within(deadline, passing);
        let (passed, has_warned) = telemetry::with_server_warnings(passing).await;
        if passed.is_err() {
            self.lose();
        }
        passed.is_ok() && !has_warned
    }
}

/// What an attempt has stored.
pub(super) struct Looked {
    pub stored: HashSet<Uuid>,
    /// Whether the attempt is over: a commit that comes later would make "not stored" a lie. PostgreSQL's session was
    /// ended, and the server that says so is not a standby that has yet to hear of it; SQLite goes on with what nobody
    /// waits for any more.
    pub is_final: bool,
}

async fn within<T>(
    deadline: Duration,
    future: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(deadline, future).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
