//! The writer's own connection: made when needed, and asked what a lost one has stored.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use database::{Access, Backend, Connection, DatabaseUrl, Engine, Session, Unusable, on_engine};
use domain::NewOrder;
use sqlx::Connection as _;
use telemetry::traces;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::batch::{BatchOutcomes, StoredResponses};
use super::deadline::within;
use super::failure::StoreFailure;
use super::open_file::OpenFile;
use super::status::Status;
use super::{postgres, sqlite};
use crate::database::Place;

/// A connection that is made again when it was lost.
pub(super) struct WriterConnection {
    url: DatabaseUrl,
    place: Place,
    status: Arc<Status>,
    connection: Option<Connection>,
    used_at: Instant,
    /// Whether every statement was prepared on the connection.
    is_prepared: bool,
    /// Whether the connection was seen to have a session to itself.
    is_direct: bool,
    /// When a connection in use is checked next.
    check_due: Instant,
    /// PostgreSQL's process behind the present connection.
    backend: Option<Backend>,
    /// Processes behind connections that were lost with a commit under way. They may still be at it.
    lost: Vec<Backend>,
    /// SQLite's file.
    file: Option<OpenFile>,
}

/// What a connection is needed for, which decides how long making it may take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// For orders to come: nothing waits for it. Every statement is prepared.
    Ahead,
    /// For orders that wait.
    Orders,
    /// For a question about orders that wait. Any session will do.
    Questions,
}

/// Which orders an attempt has stored.
pub(super) struct StoredLookup {
    pub stored: HashSet<Uuid>,
    /// Whether the attempt is over: a commit that comes later would make "not stored" a lie. PostgreSQL's session was
    /// ended, and the server that says so is not a standby that has yet to hear of it. SQLite finishes a transaction
    /// that nobody waits for any more.
    pub is_final: bool,
}

const APPLICATION: &str = "order-food-writer";

impl WriterConnection {
    /// How long storing a batch may take. After that the outcome is unknown.
    const STATEMENT_DEADLINE: Duration = Duration::from_millis(1500);
    /// After so long without use a connection is checked before orders are sent on it.
    const TRUSTED_IDLE: Duration = Duration::from_millis(250);
    /// How long the check of an idle connection may take.
    const IDLE_CHECK_DEADLINE: Duration = Duration::from_millis(400);
    /// How long the check of a connection in use may take: a slow one is not given up for being slow.
    const BUSY_CHECK_DEADLINE: Duration = Duration::from_millis(1200);
    /// How long each step of connecting may take while nothing waits for it, and while a batch does.
    const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
    const RECONNECT_DEADLINE: Duration = Duration::from_millis(250);
    /// How long the check of a new session may take where a batch waits.
    const DIRECT_DEADLINE: Duration = Duration::from_millis(1000);
    /// How long it may take to find out which counters are held.
    const COUNTERS_DEADLINE: Duration = Duration::from_millis(750);
    /// How long a commit that confirms others may take; shorter where orders have waited for their own commit already.
    const CONFIRM_DEADLINE: Duration = Self::STATEMENT_DEADLINE;
    pub(super) const CONFIRM_FOUND_DEADLINE: Duration = Duration::from_millis(150);
    /// How long a connection in use goes without a check of its session. It is longer where checks take long, so that
    /// they take a twentieth of the time at most.
    const CHECK_PAUSE: Duration = Duration::from_secs(1);

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
            check_due: Instant::now(),
            backend: None,
            lost: Vec::new(),
        }
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Whether there is a connection that need not be checked first.
    pub(super) fn is_trusted(&self) -> bool {
        self.connection.is_some() && self.used_at.elapsed() <= Self::TRUSTED_IDLE
    }

    /// Whether nothing is to be done before orders come. They check the connection themselves.
    fn is_ready(&self) -> bool {
        let is_checked = self.is_prepared && self.is_trusted() && Instant::now() < self.check_due;
        is_checked && !self.has_log_to_save()
    }

    /// Makes a connection if there is none, or none that answers, or if it leads to another session.
    pub(super) async fn ensure_connected(&mut self, purpose: Purpose) -> Result<(), sqlx::Error> {
        let connected = self.connect_for(purpose).await;
        if purpose == Purpose::Ahead {
            self.status.set_unusable(connected.as_ref().err().and_then(Unusable::of));
        }
        connected
    }

    async fn connect_for(&mut self, purpose: Purpose) -> Result<(), sqlx::Error> {
        match purpose {
            Purpose::Questions => self.connect(Self::RECONNECT_DEADLINE, false).await,
            Purpose::Orders => {
                self.connect(Self::RECONNECT_DEADLINE, false).await?;
                self.ensure_direct(Self::DIRECT_DEADLINE).await
            }
            Purpose::Ahead if self.is_ready() => Ok(()),
            Purpose::Ahead => {
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
        }
    }

    async fn prepare(&mut self) -> Result<(), sqlx::Error> {
        self.ensure_direct(Self::CONNECT_DEADLINE).await?;
        if let Some(Engine::Postgres(connection)) = &mut self.connection {
            if !self.lost.is_empty() {
                within(Self::CONNECT_DEADLINE, postgres::end_sessions(connection, &self.lost)).await?;
                self.lost.clear();
            }
            within(Self::CONNECT_DEADLINE, postgres::prepare_statements(connection)).await?;
        }
        Ok(())
    }

    /// Checks that the connection has a session to itself, if that is not known.
    async fn ensure_direct(&mut self, deadline: Duration) -> Result<(), sqlx::Error> {
        let (false, Some(connection)) = (self.is_direct, &mut self.connection) else { return Ok(()) };
        let checking = Session::check_is_direct(&self.url, APPLICATION, connection);
        let checked = within(deadline, checking).await;
        if checked.is_err() {
            self.disconnect();
        }
        self.is_direct = checked.is_ok();
        checked
    }

    /// Connects if needed. `deadline` holds for each of the two or, `is_checked`, three steps.
    async fn connect(&mut self, deadline: Duration, is_checked: bool) -> Result<(), sqlx::Error> {
        // A new connection would make a file that is missing.
        let file = self.check_file();
        if file.is_err() {
            self.save_log().await;
        }
        self.check().await;
        self.used_at = Instant::now();
        if let Err(unusable) = file {
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
        self.check_due = Instant::now() + Self::CHECK_PAUSE;
        Ok(())
    }

    /// Gives up a connection that does not answer, or that leads to another session, if it is time to check it.
    async fn check(&mut self) {
        let (began, is_idle) = (Instant::now(), self.used_at.elapsed() > Self::TRUSTED_IDLE);
        if let (true, Some(connection)) = (is_idle || began >= self.check_due, &mut self.connection) {
            let deadline = if is_idle { Self::IDLE_CHECK_DEADLINE } else { Self::BUSY_CHECK_DEADLINE };
            let checking = async {
                match (connection, &self.backend) {
                    (connection, Some(backend)) => Session::check_is_same(connection, backend).await,
                    (connection, None) => on_engine!(connection, connection => connection.ping().await),
                }
            };
            if within(deadline, checking).await.is_err() && !self.has_log_to_save() {
                self.disconnect();
            }
            self.check_due = Instant::now() + Self::CHECK_PAUSE.max(20 * began.elapsed());
        }
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

    /// Stores the orders in one transaction, and returns what became of each.
    pub(super) async fn store(&mut self, orders: &[&NewOrder]) -> Result<BatchOutcomes, StoreFailure> {
        if let Err(error) = self.ensure_connected(Purpose::Orders).await {
            let cause = telemetry::causes(&error, database::words);
            tracing::warn!(cause, "the order writer has no database");
            return Err(StoreFailure::NotSent(Unusable::of(&error)));
        }
        let Some(connection) = &mut self.connection else { return Err(StoreFailure::NotSent(None)) };
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
        let mut outcome =
            stored.unwrap_or_else(|_| Err(StoreFailure::outcome_unknown("the commit took too long")));
        // A commit that did not wait for its standbys to the end says so in a warning. A commit into a file that was
        // removed says nothing.
        if outcome.is_ok() {
            let is_safe = !has_warned || self.confirm(Self::CONFIRM_DEADLINE).await;
            if !is_safe {
                outcome = Err(StoreFailure::outcome_unknown("the commit did not wait for its standbys"));
            } else if self.check_file().is_err() {
                outcome = Err(StoreFailure::outcome_unknown("the commit went into a file that was removed"));
            }
        }
        self.used_at = Instant::now();
        if let Err(failure) = &outcome {
            traces::fail(&span, "not_stored", "");
            if let Some(code) = failure.response_code() {
                traces::set(&span, "db.response.status_code", code);
            }
            if failure.loses_connection() {
                self.save_log().await;
                self.lose();
            }
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

    /// Which of the counters another session holds at this moment, and their versions.
    pub(super) async fn held_counters(
        &mut self,
        counters: Vec<String>,
    ) -> Result<HashMap<String, String>, sqlx::Error> {
        let Some(Engine::Postgres(connection)) = &mut self.connection else {
            // Only PostgreSQL locks counters.
            return Ok(HashMap::new());
        };
        let held = within(Self::COUNTERS_DEADLINE, postgres::held_counters(connection, &counters)).await;
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

    /// Finds out which of the ids are there, after a connection was lost.
    pub(super) async fn find_stored(&mut self, ids: &[Uuid]) -> Result<StoredLookup, sqlx::Error> {
        self.ensure_connected(Purpose::Questions).await?;
        let found = match &mut self.connection {
            None => return Err(sqlx::Error::PoolTimedOut),
            Some(Engine::Sqlite(connection)) => sqlite::stored_ids(connection, ids).await,
            Some(Engine::Postgres(connection)) if self.lost.is_empty() => {
                postgres::stored_ids(connection, ids).await
            }
            Some(Engine::Postgres(connection)) => {
                match postgres::end_sessions(connection, &self.lost).await {
                    Ok(()) => postgres::stored_ids(connection, ids).await,
                    Err(error) => Err(error),
                }
            }
        };
        match &found {
            Ok(_) => self.lost.clear(),
            Err(_) => self.disconnect(),
        }
        let is_final = matches!(self.connection, Some(Engine::Postgres(_)));
        Ok(StoredLookup { stored: found?, is_final })
    }

    /// The responses that are stored under these keys, with a commit after them; `None` if they cannot be read.
    pub(super) async fn stored_responses(&mut self, keys: &[(i64, &str)]) -> Option<StoredResponses> {
        let reading = async {
            match &mut self.connection {
                Some(Engine::Sqlite(connection)) => sqlite::stored_responses(connection, keys).await,
                Some(Engine::Postgres(connection)) => postgres::stored_responses(connection, keys).await,
                None => Err(sqlx::Error::PoolTimedOut),
            }
        };
        let reading = within(Self::CONFIRM_DEADLINE, reading);
        let (responses, has_warned) = telemetry::with_server_warnings(reading).await;
        self.used_at = Instant::now();
        if responses.is_err() {
            self.lose();
        }
        // What is read from a file that was removed is gone with the process.
        responses.ok().filter(|_| !has_warned && self.check_file().is_ok())
    }

    /// Whether everything that was seen to be stored is as safe as the server promises: a commit begun now has passed.
    /// A commit that is waited for in vain is ended with the next connection.
    pub(super) async fn confirm(&mut self, deadline: Duration) -> bool {
        let passing = async {
            match &mut self.connection {
                // What other connections see is on the disk.
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
