//! One batch on one connection: what both engines have in common.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use database::{Connection, DatabaseUrl, Engine, Session, on_engine};
use sqlx::Connection as _;
use telemetry::traces;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::super::client::Place;
use super::super::{NewOrder, OrderPlacement, StoredAnswer};
use super::{postgres, sqlite};

/// What became of each order of a batch; `None`: ask again.
pub(super) type Outcomes = Vec<Option<OrderPlacement>>;

/// The writer's own connection, made when needed.
pub(super) struct Store {
    url: DatabaseUrl,
    place: Place,
    connection: Option<Connection>,
    used_at: Instant,
    /// Whether the connection has seen every statement.
    is_prepared: bool,
    /// PostgreSQL's process behind the present connection.
    backend: Option<postgres::Backend>,
    /// The process behind a connection that was lost with a commit under way: it may still be at it.
    lost: Option<postgres::Backend>,
}

impl Store {
    /// How long storing a batch may take. Whoever hears nothing by then does not know the outcome.
    const STATEMENT_DEADLINE: Duration = Duration::from_millis(1500);

    pub(super) fn new(url: DatabaseUrl) -> Self {
        Self {
            place: Place::of(&url),
            url,
            connection: None,
            used_at: Instant::now(),
            is_prepared: false,
            backend: None,
            lost: None,
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

    /// Connects and prepares while nobody waits.
    pub(super) async fn connect_ahead(&mut self) -> Result<(), sqlx::Error> {
        self.connect(Self::CONNECT_DEADLINE).await?;
        if let (Some(Engine::Postgres(connection)), false) = (&mut self.connection, self.is_prepared) {
            let prepared = within(Self::CONNECT_DEADLINE, postgres::prepare_statements(connection)).await;
            if prepared.is_err() {
                self.connection = None;
            }
            prepared?;
            (self.is_prepared, self.used_at) = (true, Instant::now());
        }
        Ok(())
    }

    /// Connects while somebody waits.
    pub(super) async fn reconnect(&mut self) -> Result<(), sqlx::Error> {
        self.connect(Self::RECONNECT_DEADLINE).await
    }

    /// Connects if there is no connection, or none that answers. `deadline` holds for each of the two steps.
    async fn connect(&mut self, deadline: Duration) -> Result<(), sqlx::Error> {
        if self.used_at.elapsed() > Self::TRUSTED_IDLE
            && let Some(connection) = &mut self.connection
        {
            let ping = async { on_engine!(connection, connection => connection.ping().await) };
            if within(Self::PING_DEADLINE, ping).await.is_err() {
                self.connection = None;
            }
        }
        self.used_at = Instant::now();
        if self.connection.is_none() {
            let mut connection =
                within(deadline, Session::connect_once(&self.url, "order-food-writer")).await?;
            if let Engine::Postgres(connection) = &mut connection {
                let prepared = postgres::prepare_session(connection, Self::STATEMENT_DEADLINE);
                self.backend = Some(within(deadline, prepared).await?);
            }
            (self.connection, self.is_prepared) = (Some(connection), false);
        }
        Ok(())
    }

    /// Stores the orders in one transaction. Says of each what became of it.
    pub(super) async fn store(&mut self, orders: &[&NewOrder]) -> Result<Outcomes, sqlx::Error> {
        // Nothing was sent yet: a failure here is certainly none of the orders'.
        if let Err(error) = self.reconnect().await {
            tracing::warn!(cause = telemetry::causes(&error), "the order writer has no database");
            return Err(sqlx::Error::PoolTimedOut);
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
        let stored = timeout(Self::STATEMENT_DEADLINE, storing).await;
        let outcome = stored.unwrap_or(Err(sqlx::Error::WorkerCrashed));
        if outcome.is_err() {
            traces::fail(&span, "not_stored", "");
        }
        self.used_at = Instant::now();
        let is_lost =
            |error: &sqlx::Error| !database::is_certainly_not_done(error) || database::is_unavailable(error);
        if outcome.as_ref().is_err_and(is_lost) {
            self.connection = None;
            self.lost = self.backend.take();
        }
        outcome
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
            Err(failure) if database::is_lock_timeout(&failure) => {
                Ok(counters.into_iter().map(|counter| (counter, String::new())).collect())
            }
            Err(failure) => {
                self.connection = None;
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
            Some(Engine::Postgres(connection)) => match &self.lost {
                None => postgres::stored_ids(connection, ids).await,
                Some(lost) => match postgres::end(connection, lost).await {
                    Ok(()) => postgres::stored_ids(connection, ids).await,
                    Err(error) => Err(error),
                },
            },
        };
        match &found {
            Ok(_) => self.lost = None,
            Err(_) => self.connection = None,
        }
        let is_final = matches!(self.connection, Some(Engine::Postgres(_)));
        Ok(Looked { stored: found?, is_final })
    }
}

/// What an attempt has stored.
pub(super) struct Looked {
    pub stored: HashSet<Uuid>,
    /// Whether the attempt is over: a commit that comes later would make "not stored" a lie. PostgreSQL's session was
    /// ended; SQLite goes on with what nobody waits for any more.
    pub is_final: bool,
}

async fn within<T>(
    deadline: Duration,
    future: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(deadline, future).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// The answer that was given to the order with a key.
#[derive(sqlx::FromRow)]
pub(super) struct AnswerRow {
    client_id: i64,
    key: String,
    #[sqlx(flatten)]
    answer: StoredAnswer,
}

impl AnswerRow {
    /// By client and key.
    pub(super) fn keyed(self) -> ((i64, String), StoredAnswer) {
        ((self.client_id, self.key), self.answer)
    }
}

/// The limits of a batch: how often each counter was used before, and which orders fit.
#[derive(Default)]
pub(super) struct Limits {
    /// Orders that do not fit, and why, by position.
    pub refused: HashMap<usize, OrderPlacement>,
    /// Orders that do, and the counters they use up one of.
    pub uses: Vec<(Uuid, String)>,
}

/// The counters that a batch needs, sorted: everyone locks them in the same order.
pub(super) fn counter_names(orders: &[&NewOrder]) -> Vec<String> {
    let limits = orders.iter().flat_map(|order| order.limits());
    let names: BTreeSet<_> = limits.map(|limit| limit.counter.clone()).collect();
    names.into_iter().collect()
}

/// Hands out what is left of each counter, first come first served.
pub(super) fn hand_out(orders: &[&NewOrder], mut used: HashMap<String, i64>) -> Limits {
    let mut limits = Limits::default();
    for (position, order) in orders.iter().enumerate() {
        let Some(redemption) = &order.redemption else { continue };
        let reached = redemption
            .limits
            .iter()
            .find(|limit| used.get(&limit.counter).copied().unwrap_or_default() >= limit.most);
        if let Some(limit) = reached {
            limits.refused.insert(position, OrderPlacement::LimitReached(limit.kind));
            continue;
        }
        for limit in &redemption.limits {
            *used.entry(limit.counter.clone()).or_default() += 1;
            limits.uses.push((order.order.id.uuid(), limit.counter.clone()));
        }
    }
    limits
}

/// A failure after the commit says nothing of the orders: whether they are there has to be asked.
pub(super) fn after_commit(failure: &sqlx::Error) -> sqlx::Error {
    tracing::warn!(cause = telemetry::causes(failure), "after a commit its keys could not be looked up");
    sqlx::Error::WorkerCrashed
}

/// What becomes of orders that nothing but their own ids can hold up: one that was not stored now is there from an
/// earlier attempt.
pub(super) fn all_stored(orders: &[&NewOrder]) -> Outcomes {
    vec![Some(OrderPlacement::Stored); orders.len()]
}

/// Says of each order what became of it: refused, stored, or its key's doing.
pub(super) fn outcomes(
    orders: &[&NewOrder],
    limits: &Limits,
    stored: &HashSet<Uuid>,
    answers: &HashMap<(i64, String), StoredAnswer>,
) -> Outcomes {
    // Uses that were handed to orders whose key belongs to another one.
    let returned: HashSet<&str> =
        limits.uses.iter().filter(|(id, _)| !stored.contains(id)).map(|(_, counter)| &**counter).collect();
    let may_fit_now = |order: &NewOrder| order.limits().any(|limit| returned.contains(&*limit.counter));
    let outcome = |(position, order): (usize, &&NewOrder)| {
        let id = order.order.id.uuid();
        if stored.contains(&id) {
            return Some(OrderPlacement::Stored);
        }
        let answer = order.idempotency.as_ref().and_then(|claim| {
            let answer = answers.get(&(order.order.client_id.get(), claim.key.as_str().to_owned()))?;
            Some(answer.meets(id, &claim.request_hash))
        });
        match (answer, limits.refused.get(&position)) {
            // Whoever has the key was answered already, whatever the limits say by now.
            (Some(answer), _) => Some(answer),
            (None, Some(_)) if may_fit_now(order) => None,
            (None, Some(refused)) => Some(refused.clone()),
            // Not stored now and not held up by a key: an earlier attempt has stored it.
            (None, None) if order.idempotency.is_none() => Some(OrderPlacement::Stored),
            (None, None) => None,
        }
    };
    orders.iter().enumerate().map(outcome).collect()
}

/// Orders with a key that were not stored now: who has the key?
pub(super) fn conflicts<'o>(orders: &[&'o NewOrder], stored: &HashSet<Uuid>) -> Vec<(i64, &'o str)> {
    let is_conflict = |order: &&'o NewOrder| {
        let claim = order.idempotency.as_ref()?;
        let is_open = !stored.contains(&order.order.id.uuid());
        is_open.then(|| (order.order.client_id.get(), claim.key.as_str()))
    };
    orders.iter().filter_map(is_conflict).collect()
}
