//! The database as repositories reach it: every statement has a deadline, and is timed and traced.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use database::{DatabaseUrl, PooledConnection, Pools, Statement};
use telemetry::metrics::Registry;
use telemetry::traces;
use tokio::time::timeout;
use tracing::Span;

use super::RepositoryError;
use crate::metrics::DatabaseMetrics;

/// Connections, and what is known of the database they go to. Cloning gives another handle.
#[derive(Clone)]
pub struct Client {
    pools: Pools,
    metrics: DatabaseMetrics,
    place: Arc<Place>,
}

/// Where the database is, for traces.
pub(super) struct Place {
    system: &'static str,
    name: String,
    server: Option<(String, u16)>,
}

impl Place {
    pub(super) fn of(url: &DatabaseUrl) -> Self {
        Self { system: url.engine(), name: url.name(), server: url.server() }
    }

    /// The span of a statement. Nobody is to be inside of it: the driver keeps the span that it is called in for as long
    /// as the statement runs, also when it is no longer waited for.
    pub(super) fn span(&self, name: &str, collection: &str, text: Option<&'static str>) -> Span {
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

/// A statement and what it is called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    /// `SELECT`.
    pub name: &'static str,
    /// The table.
    pub collection: &'static str,
    /// Its text.
    pub sql: Statement,
}

impl Operation {
    /// One that both engines understand in the same words.
    pub(super) const fn same(name: &'static str, collection: &'static str, sql: &'static str) -> Self {
        Self { name, collection, sql: Statement { postgres: sql, sqlite: sql } }
    }
}

impl Client {
    /// The longest a statement may take before its request is answered without it.
    const STATEMENT_DEADLINE: Duration = Duration::from_millis(1500);
    /// The longest that reading a whole set of data into memory may take; nobody waits for it.
    const LOADING_DEADLINE: Duration = Duration::from_secs(60);

    /// Reaches the database at `url` through `pools`.
    pub fn new(pools: Pools, url: &DatabaseUrl, registry: &Registry) -> Self {
        Self { pools, metrics: DatabaseMetrics::new(registry, url.engine()), place: Arc::new(Place::of(url)) }
    }

    /// A connection for reading.
    pub(super) async fn reader(&self) -> Result<PooledConnection, sqlx::Error> {
        self.pools.reader().await
    }

    /// A connection for writing.
    pub(super) async fn writer(&self) -> Result<PooledConnection, sqlx::Error> {
        self.pools.writer().await
    }

    /// Runs a statement with the deadline that every call to the database has.
    pub(super) async fn call<T>(
        &self,
        operation: &Operation,
        statement: impl Future<Output = Result<T, RepositoryError>>,
    ) -> Result<T, RepositoryError> {
        self.watched(operation, Self::STATEMENT_DEADLINE, statement).await
    }

    /// Runs the reading of a whole set.
    pub(super) async fn load<T>(
        &self,
        operation: &Operation,
        statement: impl Future<Output = Result<T, RepositoryError>>,
    ) -> Result<T, RepositoryError> {
        self.watched(operation, Self::LOADING_DEADLINE, statement).await
    }

    async fn watched<T>(
        &self,
        operation: &Operation,
        deadline: Duration,
        statement: impl Future<Output = Result<T, RepositoryError>>,
    ) -> Result<T, RepositoryError> {
        let started = Instant::now();
        let text = if self.place.system == "sqlite" { operation.sql.sqlite } else { operation.sql.postgres };
        let span = self.place.span(operation.name, operation.collection, Some(text));
        let outcome = timeout(deadline, statement).await;
        let outcome = outcome.unwrap_or(Err(RepositoryError::Unavailable(None)));
        let code = outcome.as_ref().err().and_then(RepositoryError::cause).and_then(database::response_code);
        if let Some(code) = code {
            traces::set(&span, "db.response.status_code", code);
        }
        let error_type = outcome.as_ref().err().map(RepositoryError::name);
        if let Some(error_type) = error_type {
            traces::fail(&span, error_type, "");
        }
        self.metrics.note(operation.name, operation.collection, error_type, started.elapsed());
        outcome
    }
}
