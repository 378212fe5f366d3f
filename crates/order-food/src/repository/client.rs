//! The database as repositories reach it: every statement has a deadline, and is timed and traced.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use database::{DatabaseUrl, PooledConnection, Pools, Statement};
use telemetry::metrics::Registry;
use telemetry::traces;
use tokio::time::timeout;
use tracing::{Instrument, Span};

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
struct Place {
    system: &'static str,
    name: String,
    server: Option<(String, u16)>,
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
        let place = Place { system: url.engine(), name: url.name(), server: url.server() };
        Self { pools, metrics: DatabaseMetrics::new(registry, url.engine()), place: Arc::new(place) }
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
        let span = self.span(operation);
        let outcome = timeout(deadline, statement.instrument(span.clone())).await;
        let outcome = outcome.unwrap_or(Err(RepositoryError::Unavailable(None)));
        let error_type = outcome.as_ref().err().map(RepositoryError::name);
        if let Some(error_type) = error_type {
            traces::fail(&span, error_type, "");
        }
        self.metrics.note(operation.name, operation.collection, error_type, started.elapsed());
        outcome
    }

    fn span(&self, operation: &Operation) -> Span {
        let Place { system, name, server } = &*self.place;
        let (address, port) = server.as_ref().map(|(address, port)| (address.as_str(), *port)).unzip();
        let text = if *system == "sqlite" { operation.sql.sqlite } else { operation.sql.postgres };
        telemetry::span!(
            "db",
            otel.name = format!("{} {}", operation.name, operation.collection),
            otel.kind = "client",
            db.system.name = system,
            db.namespace = name,
            db.operation.name = operation.name,
            db.collection.name = operation.collection,
            db.query.text = text,
            server.address = address,
            server.port = port,
        )
    }
}
