//! The writer's own connection, made when needed: storing a batch on it, and asking it what a lost one has stored.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use database::{Access, Backend, Connection, DatabaseUrl, Engine, Session, Unusable, on_engine};
use sqlx::Connection as _;
use telemetry::traces;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::super::client::Place;
use super::super::{NewOrder, StoredAnswer};
use super::batch::{Outcomes, outcome_unknown};
use super::open_file::OpenFile;
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
    /// When the session behind the connection is looked at next, if it is in use until then.
    look_due: Instant,
    /// PostgreSQL's process behind the present connection.
    backend: Option<Backend>,
    /// Processes behind connections that were lost with a commit under way: they may still be at it.
    lost: Vec<Backend>,
    /// SQLite's.
    file: Option<OpenFile>,
}

const APPLICATION: &str = "order-food-writer";

impl Store {
    /// How long storing a batch may take. Whoever hears nothing by then does not know the outcome.
    const STATEMENT_DEADLINE: Duration = Duration::from_millis(1500);

    pub(super) fn new(url: DatabaseUrl, status: Arc<Status>) -> Self {
        Self {
            place: Place::of(&url),
            file: url.sqlite_file().map(|path| OpenFile::new(path, status.clone())),
            url,
            status,
            connection: None,
            used_at: Instant::now(),
            is_prepared: false,
            is_direct: false,
            look_due: Instant::now(),
            backend: None,
            lost: Vec::new(),
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
    /// The same where it is in use: a slow one is not given up for being slow.
    const BUSY_LOOK_DEADLINE: Duration = Duration::from_millis(1200);

    /// How long connecting may take, and after that preparing, where nobody waits for it yet, and where a batch does.
    const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
    const RECONNECT_DEADLINE: Duration = Duration::from_millis(250);
    /// How long the check of a new connection may take where a batch waits.
    const DIRECT_DEADLINE: Duration = Duration::from_millis(1000);

    /// How long it may take to see which counters are held.
    const LOOK_DEADLINE: Duration = Duration::from_millis(750);

    /// How long a commit that confirms others may take; shorter where orders have waited for theirs already.
    const CONFIRM_DEADLINE: Duration = Self::STATEMENT_DEADLINE;
    pub(super) const CONFIRM_FOUND_DEADLINE: Duration = Duration::from_millis(150);

    /// How long a connection in use goes without a look whether it still has the same session; longer where looks take
    /// long, so that they take a twentieth of the time at most.
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
        let checked = within(deadline, checking).await;
        if checked.is_err() {
            self.disconnect();
        }
        self.is_direct = checked.is_ok();
        checked
    }

    /// Connects if there is no connection, or none that answers, or if it has another session. `deadline` holds for each of
    /// the two or, `is_checked`, three steps.
    async fn connect(&mut self, deadline: Duration, is_checked: bool) -> Result<(), sqlx::Error> {
        let (began, is_idle) = (Instant::now(), self.used_at.elapsed() > Self::TRUSTED_IDLE);
        if self.check_file().is_err() {
            self.save_log().await;
        }
        if let (true, Some(connection)) = (is_idle || began >= self.look_due, &mut self.connection) {
            let deadline = if is_idle { Self::PING_DEADLINE } else { Self::BUSY_LOOK_DEADLINE };
            let looking = async {
                match (connection, &self.backend) {
                    (connection, Some(backend)) => Session::check_is_same(connection, backend).await,
                    (connection, None) => on_engine!(connection, connection => connection.ping().await),
                }
            };
            if within(deadline, looking).await.is_err() && !self.has_log_to_save() {
                self.disconnect();
            }
            self.look_due = Instant::now() + Self::LOOK_PAUSE.max(20 * began.elapsed());
        }
        self.used_at = Instant::now();
        // A new connection would make a file that is missing.
        if let Err(unusable) = self.check_file() {
            if !self.has_log_to_save() {
                self.disconnect();
            }
            return Err(unusable.into());
        }
        if self.connection.is_some() {
            return Ok(());
        }
        let settings = postgres::SETTINGS;
        let connecting = Session::connect_once(&self.url, APPLICATION, Access::Write, settings, is_checked);
        let steps = if is_checked { 3 } else { 2 };
        let (mut connection, backend) = within(steps * deadline, connecting).await?;
        if let (Engine::Sqlite(connection), Some(file)) = (&mut connection, &self.file) {
            file.open(connection, deadline).await?;
        }
        self.is_direct = is_checked || backend.is_none();
        (self.connection, self.backend, self.is_prepared) = (Some(connection), backend, false);
        self.look_due = Instant::now() + Self::LOOK_PAUSE;
        Ok(())
    }

    fn disconnect(&mut self) {
        self.connection = None;
        self.status.set_log(None);
    }

    /// Whether what is written goes into the files that SQLite's paths name.
    fn check_file(&self) -> Result<(), Unusable> {
        self.file.as_ref().map_or(Ok(()), OpenFile::check)
    }

    fn has_log_to_save(&self) -> bool {
        self.file.as_ref().is_some_and(OpenFile::has_log_to_save)
    }

    async fn save_log(&mut self) {
        if let (Some(Engine::Sqlite(connection)), Some(file)) = (&mut self.connection, &mut self.file) {
            file.save_log(connection).await;
        }
    }

    /// Stores the orders in one transaction. Says of each what became of it.
    pub(super) async fn store(&mut self, orders: &[&NewOrder]) -> Result<Outcomes, sqlx::Error> {
        // Nothing was sent yet: a failure here is certainly none of the orders'.
        let connected = match self.reconnect().await {
            Ok(()) => self.make_direct(Self::DIRECT_DEADLINE).await,
            Err(error) => Err(error),
        };
        if let Err(error) = connected {
            tracing::warn!(
                cause = telemetry::causes(&error, database::words),
                "the order writer has no database"
            );
            return Err(Unusable::of(&error).map_or(sqlx::Error::PoolTimedOut, Into::into));
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
        let mut outcome = stored.unwrap_or_else(|_| Err(outcome_unknown("no answer in time")));
        // A commit that did not wait for its standbys to the end says so in a warning; one into a file that was removed
        // says nothing.
        if outcome.is_ok() {
            let is_safe = !has_warned || self.confirm(Self::CONFIRM_DEADLINE).await;
            if !is_safe {
                outcome = Err(outcome_unknown("the commit did not wait for its standbys"));
            } else if self.check_file().is_err() {
                outcome = Err(outcome_unknown("the commit went into a file that was removed"));
            }
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
        if self.has_log_to_save() {
            return;
        }
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

    /// The answers that are stored under these keys, with a commit after them; `None` where that cannot be found out.
    pub(super) async fn answers(
        &mut self,
        keys: &[(i64, &str)],
    ) -> Option<HashMap<(i64, String), StoredAnswer>> {
        let answering = async {
            match &mut self.connection {
                Some(Engine::Sqlite(connection)) => sqlite::answers(connection, keys).await,
                Some(Engine::Postgres(connection)) => postgres::answers(connection, keys).await,
                None => Err(sqlx::Error::PoolTimedOut),
            }
        };
        let answering = within(Self::CONFIRM_DEADLINE, answering);
        let (answers, has_warned) = telemetry::with_server_warnings(answering).await;
        if answers.is_err() {
            self.lose();
        }
        answers.ok().filter(|_| !has_warned)
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

/// What the future returns, or [`sqlx::Error::PoolTimedOut`] after the deadline.
pub(super) async fn within<T>(
    deadline: Duration,
    future: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(deadline, future).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
