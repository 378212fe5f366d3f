//! The database: every statement has a deadline, and is timed and traced.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use database::{DatabaseUrl, PooledConnection, Pools, Statement, Transaction};
use telemetry::metrics::Registry;
use telemetry::traces;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Span;

use crate::StorageError;
use crate::metrics::DatabaseMetrics;

/// Connections to the database. Cloning gives another handle.
#[derive(Clone)]
pub struct Database {
    pools: Pools,
    metrics: DatabaseMetrics,
    place: Arc<Place>,
}

/// Where the database is, for traces.
pub(crate) struct Place {
    system: &'static str,
    name: String,
    server: Option<(String, u16)>,
}

impl Place {
    pub(crate) fn of(url: &DatabaseUrl) -> Self {
        Self { system: url.engine(), name: url.name(), server: url.server() }
    }

    /// The span of a statement. It must not be entered: the driver keeps the span that it is called in for as long as
    /// the statement runs, even when the caller no longer waits for it.
    pub(crate) fn span(&self, name: &str, collection: &str, text: Option<&'static str>) -> Span {
        let (address, port) =
            self.server.as_ref().map(|(address, port)| (address.as_str(), i64::from(*port))).unzip();
        let summary = format!("{name} {collection}");
        telemetry::span!(
            "db",
            otel.name = summary,
            otel.kind = "client",
            db.system.name = self.system,
            db.namespace = self.name,
            db.operation.name = name,
            db.collection.name = collection,
            db.query.summary = summary,
            db.query.text = text,
            server.address = address,
            server.port = port,
        )
    }
}

/// A statement, with its names in traces and metrics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    /// The verb, such as `SELECT`.
    pub name: &'static str,
    /// The table.
    pub collection: &'static str,
    /// The text.
    pub sql: Statement,
}

impl Operation {
    /// A statement with the same text on both engines.
    pub(crate) const fn same(name: &'static str, collection: &'static str, sql: &'static str) -> Self {
        Self { name, collection, sql: Statement { postgres: sql, sqlite: sql } }
    }
}

impl Database {
    /// The longest that a statement may take.
    const STATEMENT_DEADLINE: Duration = Duration::from_millis(1500);
    /// The longest that reading a whole set of data into memory may take. No request waits for it.
    const LOADING_DEADLINE: Duration = Duration::from_secs(60);
    const RETRY_PAUSE: Duration = Duration::from_millis(20);

    /// Reaches the database at `url` through `pools`.
    pub fn new(pools: Pools, url: &DatabaseUrl, registry: &Registry) -> Self {
        Self { pools, metrics: DatabaseMetrics::new(registry, url.engine()), place: Arc::new(Place::of(url)) }
    }

    /// Reads with one statement; `query` gets a connection and the statement's text.
    pub(crate) async fn read<T, F>(
        &self,
        operation: &Operation,
        query: impl FnOnce(PooledConnection, &'static str) -> F + Send,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>> + Send,
    {
        self.observe(operation, Box::pin(self.reading(operation, Self::STATEMENT_DEADLINE, query))).await
    }

    /// Reads a whole set of data into memory.
    pub(crate) async fn load<T, F>(
        &self,
        operation: &Operation,
        query: impl FnOnce(PooledConnection, &'static str) -> F + Send,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>> + Send,
    {
        self.observe(operation, Box::pin(self.reading(operation, Self::LOADING_DEADLINE, query))).await
    }

    async fn reading<T, F>(
        &self,
        operation: &Operation,
        deadline: Duration,
        query: impl FnOnce(PooledConnection, &'static str) -> F + Send,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>> + Send,
    {
        let reading = async {
            let connection = self.pools.reader().await?;
            let sql = operation.sql.on(&connection);
            query(connection, sql).await
        };
        by(Instant::now() + deadline, reading).await
    }

    /// Writes in one transaction: `work` gets it and the statement's text, and returns it to be committed. `work` runs
    /// again if the database could not order the transaction among others, or if a lock was not free in time. Until the
    /// commit is sent, every error means that nothing was stored. After that the outcome may be unknown.
    pub(crate) async fn write<T, F>(
        &self,
        operation: &Operation,
        work: impl Fn(Transaction<'static>, &'static str) -> F + Send + Sync,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = Result<(Transaction<'static>, T), StorageError>> + Send,
        T: Send,
    {
        let writing = async {
            let deadline = Instant::now() + Self::STATEMENT_DEADLINE;
            loop {
                let error = match self.attempt(operation, deadline, &work).await {
                    Ok(value) => return Ok(value),
                    Err(unknown @ StorageError::OutcomeUnknown(_)) => return Err(unknown),
                    Err(error) => error,
                };
                let is_worth_a_retry = error.cause().is_some_and(database::is_worth_a_retry);
                if !is_worth_a_retry || Instant::now() + Self::RETRY_PAUSE >= deadline {
                    return Err(error);
                }
                sleep(Self::RETRY_PAUSE).await; // ok: lets the other transaction finish
            }
        };
        self.observe(operation, Box::pin(writing)).await
    }

    /// One transaction.
    async fn attempt<T, F>(
        &self,
        operation: &Operation,
        deadline: Instant,
        work: &(impl Fn(Transaction<'static>, &'static str) -> F + Sync),
    ) -> Result<T, StorageError>
    where
        F: Future<Output = Result<(Transaction<'static>, T), StorageError>> + Send,
        T: Send,
    {
        let transaction = by(deadline, self.pools.begin_write()).await?;
        let sql = operation.sql.on(&transaction);
        let (transaction, value) = by(deadline, work(transaction, sql)).await?;
        match timeout_at(deadline, transaction.commit()).await {
            Ok(Ok(())) => Ok(value),
            Ok(Err(error)) if database::is_certainly_not_done(&error) => Err(error.into()),
            Ok(Err(error)) => Err(StorageError::OutcomeUnknown(Some(error))),
            Err(_) => Err(StorageError::OutcomeUnknown(None)),
        }
    }

    /// Times and traces what an operation does. It is boxed, or each operation would have its own copy of all that is
    /// around it in the program.
    async fn observe<T>(
        &self,
        operation: &Operation,
        work: Pin<Box<dyn Future<Output = Result<T, StorageError>> + Send + '_>>,
    ) -> Result<T, StorageError> {
        let started = Instant::now();
        let text = if self.place.system == "sqlite" { operation.sql.sqlite } else { operation.sql.postgres };
        let span = self.place.span(operation.name, operation.collection, Some(text));
        let outcome = work.await;
        let code = outcome.as_ref().err().and_then(StorageError::cause).and_then(database::response_code);
        if let Some(code) = code {
            traces::set(&span, "db.response.status_code", code);
        }
        let error_type = outcome.as_ref().err().map(StorageError::name);
        if let Some(error_type) = error_type {
            traces::fail(&span, error_type, "");
        }
        self.metrics.record(operation.name, operation.collection, error_type, started.elapsed());
        outcome
    }
}

/// What the future returns, or an error after the deadline.
async fn by<T, E>(deadline: Instant, future: impl Future<Output = Result<T, E>>) -> Result<T, StorageError>
where
    StorageError: From<E>,
{
    Ok(timeout_at(deadline, future).await.map_err(|_| StorageError::Unavailable(None))??)
}
