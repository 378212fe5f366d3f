//! Puts the parts together: from settings to a server that listens, and down again.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use actix_web::App;
use actix_web::dev::Server;
use actix_web::middleware::{Condition, from_fn};
use actix_web::web::Data;
use database::{ConnectError, DatabaseUrl, Pools, Session};
use database_load::{Load, LoadError, Options, seed_if_never_loaded};
use database_migration::{MigrationError, Migrator};
use domain::{Clock, SystemClock};
use storage::metrics::WriterMetrics;
use storage::{Database, OrderWriter};
use telemetry::metrics::BuildError;
use telemetry::{LogCounts, StopSignals, Tracing};
use tokio::runtime::Handle;

use crate::config::Config;
use crate::handler::order::place;
use crate::handler::order::response::order_json;
use crate::handler::page::docs::{Documents, LazyDocuments};
use crate::http::json::product_json;
use crate::metrics::{self, HttpMetrics, OrderingMetrics};
use crate::middleware::{admission, cors, request};
use crate::server::connections::Connections;
use crate::server::in_flight::InFlight;
use crate::server::{Drain, Stopped, listener};
use crate::service::{ApiKeys, Menu, Ordering, Promotions, RateLimits, Readiness, ShopSettings};
use crate::state::{AppState, Catalogue, Edge, Observability};
use crate::task::{Follower, Housekeeping, Supervisor};
use crate::{openapi, router};

/// The API does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not this machine's.
    #[error(
        "cannot listen on {address}: {cause}; set another SERVER_PORT or SERVER_ADDRESS; example: SERVER_PORT=8081"
    )]
    Bind {
        /// Which address.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// A metric is declared in a way that the exporter refuses.
    #[error(transparent)]
    Metrics(#[from] BuildError),
    /// The embedded database cannot be opened.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The embedded database cannot be migrated.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// The embedded database cannot be seeded.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// A server that listens already. It answers once [`BoundServer::run`] is awaited.
pub struct BoundServer {
    server: Server,
    listener: TcpListener,
    connections: Connections,
    address: SocketAddr,
    state: Data<AppState>,
    follower: Follower,
    housekeeping: Housekeeping,
    config: Config,
}

impl BoundServer {
    /// How long the start waits for the database before it serves without: `/readyz` tells then.
    const FIRST_LOOK: Duration = Duration::from_secs(1);
    /// Commits under way at the same time: while one is being made durable the next is prepared.
    const WRITERS: usize = 2;
    /// Between two times that the single values in histograms become counts. They take memory until then.
    const CONDENSE_INTERVAL: Duration = Duration::from_secs(1);

    /// Binds the address, prepares an embedded database, and has a first look at the data.
    pub async fn start(config: Config, tracing: Tracing, log_counts: LogCounts) -> Result<Self, StartError> {
        let registry = metrics::registry(config.server.enable_metrics)?;
        let requested = SocketAddr::new(config.server.server_address, config.server.port());
        let pools = Pools::open(&config.database_url, "order-food", config.database_max_connections);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let database = Database::new(pools.clone(), &config.database_url, &registry);
        let writer = OrderWriter::start(&config.database_url, Self::WRITERS, &WriterMetrics::new(&registry));
        let menu = Arc::new(Menu::new(database.clone(), product_json));
        let promotions = Arc::new(Promotions::new(database.clone()));
        let api_keys = Arc::new(ApiKeys::new(database.clone(), config.pepper.clone(), clock.clone()));
        let readiness = Arc::new(Readiness::new(menu.clone(), api_keys.clone()));
        let shop = Arc::new(ShopSettings::new(database.clone()));
        let catalogue = Catalogue { menu, promotions, api_keys, shop, readiness };
        let follower = Follower::new(database.clone(), writer.clone(), pools.clone(), &catalogue);
        let housekeeping = Housekeeping::new(database.clone(), catalogue.api_keys.clone(), clock.clone());
        let ordering_metrics = OrderingMetrics::new(&registry);
        ordering_metrics.begin(place::REFUSALS.iter().map(|reason| reason.as_str()));
        let http_metrics = HttpMetrics::new(&registry);
        for endpoint in router::api_endpoints() {
            // HEAD is not what a shop's clients send.
            http_metrics.begin_series(endpoint.method.methods()[0], endpoint.path, &endpoint.statuses());
        }
        let ordering = Ordering::new(
            catalogue.menu.clone(),
            catalogue.promotions.clone(),
            database,
            writer.clone(),
            clock,
            ordering_metrics.clone(),
            order_json,
        );
        let observability = Observability {
            registry,
            http_metrics,
            ordering_metrics,
            tracing,
            traces_probes: config.server.trace_probes,
            log_counts,
            writer,
            pools,
            runtime: Handle::current(),
            engine: config.database_url.engine(),
            version: config.service_version.clone(),
        };
        let edge = Edge {
            rate_limits: RateLimits::new(config.limits.rate_limit_per_second),
            trusted_proxies: config.limits.trusted_proxies.clone(),
            in_flight: InFlight::default(),
            with_fault_injection: config.lifecycle.enable_fault_injection,
        };
        let state = Data::new(AppState { catalogue, ordering, observability, edge });
        // Before the database is touched: a second start in the same place fails without having done anything.
        let bind_failed = |cause| StartError::Bind { address: requested, cause };
        let listener = listener::listen(requested).map_err(bind_failed)?;
        let address = listener.local_addr().map_err(bind_failed)?;
        let connections = Connections::new();
        let server = listener.try_clone().and_then(|listener| serve(listener, &connections, &state, &config));
        let server = server.map_err(bind_failed)?;
        if config.database_url.sqlite_file().is_some() {
            prepare_embedded(&config).await?;
        }
        let mut bound =
            Self { server, listener, connections, address, state, follower, housekeeping, config };
        let _ = tokio::time::timeout(Self::FIRST_LOOK, bound.follower.follow()).await;
        Ok(bound)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What handlers reach.
    pub fn state(&self) -> Data<AppState> {
        self.state.clone()
    }

    /// Serves until a signal, and then stops in order.
    pub async fn run(self, signals: &mut StopSignals) -> Stopped {
        let Self { server, listener, connections, state, follower, housekeeping, config, .. } = self;
        let drain = Drain {
            listener,
            server: server.handle(),
            in_flight: state.edge.in_flight.clone(),
            delay: config.lifecycle.shutdown_delay(),
            timeout: config.lifecycle.shutdown_timeout(),
        };
        let registry = state.observability.registry.clone();
        let mut tasks = Supervisor::default();
        tasks.start(async move { drop(server.await) });
        tasks.start(follower.run());
        tasks.start(async move { housekeeping.run().await });
        tasks.start(async move { connections.watch().await });
        tasks.start_every(Self::CONDENSE_INTERVAL, move || registry.condense());

        let signal = signals.next().await;
        state.catalogue.readiness.start_draining();
        tracing::info!(?signal, "stopping");
        let stopped = drain.run(signals).await;
        drop(tasks);
        if stopped == Stopped::Drained {
            let closing = state.observability.pools.close();
            let _ = tokio::time::timeout(Duration::from_secs(1), closing).await;
        }
        tracing::info!(?stopped, "stopped");
        stopped
    }
}

fn serve(
    listener: TcpListener,
    connections: &Connections,
    state: &Data<AppState>,
    config: &Config,
) -> io::Result<Server> {
    let (data, with_fault_injection) = (state.clone(), config.lifecycle.enable_fault_injection);
    let with_limits = state.edge.rate_limits.are_on();
    let origins = config.server.cors_allowed_origins.clone();
    let documents: Data<LazyDocuments> = Data::new(LazyLock::new(|| Documents::new(openapi::json())));
    let shutdown_timeout = config.lifecycle.shutdown_timeout();
    listener::serve(listener, connections, shutdown_timeout, move || {
        App::new()
            .app_data(data.clone())
            .app_data(documents.clone())
            .configure(|routes| router::routes(routes, with_fault_injection))
            .wrap(Condition::new(with_limits, from_fn(admission::admit)))
            .wrap(cors(&origins, &router::methods()))
            .wrap(from_fn(request::around))
    })
}

/// Migrates the embedded database, and seeds it if nothing was ever loaded into it.
async fn prepare_embedded(config: &Config) -> Result<(), StartError> {
    const WAIT: Duration = Duration::from_secs(10);
    let url: &DatabaseUrl = &config.database_url;
    let mut session = Session::open(url, "order-food", WAIT).await?;
    for migration in (Migrator { lock_wait: WAIT }).up(url, &mut session.connection).await? {
        tracing::info!(%migration, "applied");
    }
    let options = Options { lock_wait: WAIT, ..Options::default() };
    let load =
        Load { url, source: &config.source, pepper: &config.pepper, clock: &SystemClock, options: &options };
    if let Some(summaries) = seed_if_never_loaded(load, &mut session.connection).await? {
        for summary in summaries {
            tracing::info!(data_set = summary.data_set.name(), rows = summary.counts.read, "seeded");
        }
    }
    session.close().await;
    Ok(())
}
