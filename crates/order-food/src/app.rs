//! Puts the parts together: from settings to a server that listens, and down again.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use actix_http::{HttpService, Protocol};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::App;
use actix_web::dev::{AppConfig, Extensions, Server};
use actix_web::middleware::{Condition, from_fn};
use actix_web::rt::net::TcpStream;
use actix_web::web::Data;
use database::{ConnectError, DatabaseUrl, Pools, Session};
use database_load::{Load, LoadError, Options, seed_if_never_loaded};
use database_migration::{MigrationError, Migrator};
use domain::{Clock, SystemClock};
use telemetry::metrics::{BuildError, Registry};
use telemetry::{LogCounts, StopSignal, StopSignals, Tracing};
use tokio::runtime::Handle;

use crate::config::{Config, TrustedProxies};
use crate::connections::{self, Connections};
use crate::handler::docs::Documents;
use crate::handler::json::product_json;
use crate::handler::order::answer::order_json;
use crate::handler::order::place;
use crate::metrics::{self, HttpMetrics, OrderingMetrics, WriterMetrics};
use crate::middleware::in_flight::InFlight;
use crate::middleware::{admission, cors, request};
use crate::offers::WithoutOffers;
use crate::repository::writer::OrderWriter;
use crate::repository::{Client, SqlChanges, SqlKeys, SqlMenu, SqlOrders, SqlPromotions};
use crate::router;
use crate::service::{Follower, Housekeeping, Keys, Menu, Ordering, Promotions, RateLimits, Readiness};

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

/// What handlers reach.
pub struct AppState {
    /// The menu.
    pub menu: Arc<Menu>,
    /// API keys.
    pub keys: Arc<Keys>,
    /// Orders.
    pub ordering: Ordering,
    /// What has to be done now and then.
    pub housekeeping: Arc<Housekeeping>,
    /// Whether this process can take traffic.
    pub readiness: Arc<Readiness>,
    /// Requests under way.
    pub in_flight: InFlight,
    /// The database's kind.
    pub engine: &'static str,
    /// How often whom to answer.
    pub limits: RateLimits,
    /// Whom to believe about addresses.
    pub trusted_proxies: TrustedProxies,
    /// Whether requests may ask for faults.
    pub with_fault_injection: bool,
    /// Promotions and the codes of the coupon files.
    pub promotions: Arc<Promotions>,
    /// Where orders wait for their transaction.
    pub writer: OrderWriter,
    /// Connections for everything else.
    pub pools: Pools,
    /// All metrics.
    pub registry: Registry,
    /// Counts requests.
    pub http_metrics: HttpMetrics,
    /// Counts what was decided about orders.
    pub ordering_metrics: OrderingMetrics,
    /// Decides which traces are kept.
    pub tracing: Tracing,
    /// Whether probes and scrapes are traced, too.
    pub traces_probes: bool,
    /// Counts of what was logged.
    pub log_counts: LogCounts,
    /// What everything but requests runs on.
    pub runtime: Handle,
    /// The version to name.
    pub version: String,
}

/// A server that listens already; it answers once [`BoundServer::run`] is awaited.
pub struct BoundServer {
    server: Server,
    listener: TcpListener,
    connections: Connections,
    address: SocketAddr,
    state: Data<AppState>,
    follower: Follower,
    pools: Pools,
    config: Config,
}

/// How the server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Told to, and every request was answered in time.
    Drained,
    /// Told to, but requests took longer than they may.
    TimedOut,
    /// Told twice, the second time by this signal.
    AtOnce(StopSignal),
}

impl BoundServer {
    /// How long the start waits for the database before it serves without: `/readyz` tells then.
    const FIRST_LOOK: Duration = Duration::from_secs(1);
    /// Longer than the keep-alive of proxies (nginx: 60 s), so that they are the ones to close.
    const KEEP_ALIVE: Duration = Duration::from_secs(75);
    /// Commits under way at the same time: while one is being made durable the next is prepared.
    const WRITERS: usize = 2;
    /// How long a client may take to send its headers.
    const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
    /// How long a connection may take to close.
    const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

    /// Between two times that the single values in histograms become counts; they take memory until then.
    const CONDENSE_INTERVAL: Duration = Duration::from_secs(1);

    /// Waits to be told again. Some who stop a process signal it and its group: the same SIGTERM twice at once is one.
    async fn again(signals: &mut StopSignals) -> StopSignal {
        const ONE_SIGNAL: Duration = Duration::from_millis(500);
        let told = Instant::now();
        loop {
            match signals.next().await {
                StopSignal::Terminate if told.elapsed() < ONE_SIGNAL => {}
                signal => return signal,
            }
        }
    }

    /// Binds the address, prepares an embedded database, and has a first look at the data.
    pub async fn start(config: Config, tracing: Tracing, log_counts: LogCounts) -> Result<Self, StartError> {
        let registry = metrics::registry(config.server.enable_metrics)?;
        let requested = SocketAddr::new(config.server.server_address, config.server.port());
        let pools = Pools::open(&config.database_url, "order-food", config.database_max_connections);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let client = Client::new(pools.clone(), &config.database_url, &registry);
        let menu = Arc::new(Menu::new(Arc::new(SqlMenu(client.clone())), product_json));
        let keys =
            Arc::new(Keys::new(Arc::new(SqlKeys(client.clone())), config.pepper.clone(), clock.clone()));
        let readiness = Arc::new(Readiness::new(menu.clone(), keys.clone()));
        let changes = Arc::new(SqlChanges(client.clone()));
        let promotions = Arc::new(Promotions::new(Arc::new(SqlPromotions(client.clone()))));
        let writer = OrderWriter::start(&config.database_url, Self::WRITERS, &WriterMetrics::new(&registry));
        let follower = Follower::new(
            changes,
            writer.clone(),
            pools.clone(),
            menu.clone(),
            keys.clone(),
            promotions.clone(),
            readiness.clone(),
        );
        let orders = Arc::new(SqlOrders { client, writer: writer.clone() });
        let ordering_metrics = OrderingMetrics::new(&registry);
        ordering_metrics.begin(place::REFUSALS.iter().map(|reason| reason.as_str()));
        let http_metrics = HttpMetrics::new(&registry);
        http_metrics.begin_series(&router::WATCHED_REQUESTS, &router::WATCHED_STATUSES);
        let state = Data::new(AppState {
            housekeeping: Arc::new(Housekeeping::new(orders.clone(), keys.clone(), clock.clone())),
            ordering: Ordering::new(
                menu.clone(),
                promotions.clone(),
                orders,
                clock,
                ordering_metrics.clone(),
                order_json,
            ),
            menu,
            keys,
            readiness,
            in_flight: InFlight::default(),
            engine: config.database_url.engine(),
            limits: RateLimits::new(config.limits.rate_limit_per_second),
            trusted_proxies: config.limits.trusted_proxies.clone(),
            with_fault_injection: config.lifecycle.enable_fault_injection,
            promotions,
            writer,
            pools: pools.clone(),
            http_metrics,
            ordering_metrics,
            registry,
            tracing,
            traces_probes: config.server.trace_probes,
            log_counts,
            runtime: Handle::current(),
            version: config.service_version.clone(),
        });
        // Before the database is touched: a second start in the same place fails without having done anything.
        let bind_failed = |cause| StartError::Bind { address: requested, cause };
        let listener = connections::listen(requested).map_err(bind_failed)?;
        let address = listener.local_addr().map_err(bind_failed)?;
        let connections = Connections::new();
        let server = listener.try_clone().and_then(|listener| serve(listener, &connections, &state, &config));
        let server = server.map_err(bind_failed)?;
        if config.database_url.sqlite_file().is_some() {
            prepare_embedded(&config).await?;
        }
        let mut bound = Self { server, listener, connections, address, state, follower, pools, config };
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

    /// Serves until a signal, then stops in order: unready, serve on for the delay, answer what is under way, end.
    pub async fn run(self, signals: &mut StopSignals) -> Stopped {
        let Self { server, listener, connections, state, follower, pools, config, .. } = self;
        let handle = server.handle();
        let serving = tokio::spawn(server);
        let following = tokio::spawn(follower.run());
        let housekeeping = state.housekeeping.clone();
        let keeping = tokio::spawn(async move { housekeeping.run().await });

        let registry = state.registry.clone();
        let condensing = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Self::CONDENSE_INTERVAL);
            loop {
                ticks.tick().await;
                registry.condense();
            }
        });

        let watching = tokio::spawn(async move { connections.watch().await });

        let signal = signals.next().await;
        state.readiness.start_draining();
        tracing::info!(?signal, "stopping");
        let drain = async {
            tokio::time::sleep(config.lifecycle.shutdown_delay()).await; // ok: the delay is the setting
            // While connections wait to be accepted, or were accepted and not yet heard, to stop is to lose their
            // requests: it waits until all that came were answered. Idle keep-alive connections stay as long as they
            // like to; they do not count.
            let came_to_an_end = connections::keep_new_ones_away(&listener);
            let drained = tokio::time::timeout(config.lifecycle.shutdown_timeout(), async {
                if came_to_an_end.is_ok() {
                    state.in_flight.is_quiet().await;
                }
                let stopping = handle.stop(true);
                drop(listener);
                tokio::select! {
                    () = stopping => {}
                    () = state.in_flight.is_quiet() => {}
                }
            });
            if drained.await.is_ok() { Stopped::Drained } else { Stopped::TimedOut }
        };
        let stopped = tokio::select! {
            stopped = drain => stopped,
            signal = Self::again(signals) => Stopped::AtOnce(signal),
        };
        following.abort();
        keeping.abort();
        condensing.abort();
        watching.abort();
        serving.abort();
        if stopped == Stopped::Drained {
            let _ = tokio::time::timeout(Duration::from_secs(1), pools.close()).await;
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
    let with_limits = state.limits.are_on();
    let origins = config.server.cors_allowed_origins.clone();
    let documents = Data::new(Documents::later());
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let noted = connections.clone();
    let per_worker = (connections.most() / workers).max(1);
    let builder = Server::build()
        .workers(workers)
        .max_concurrent_connections(per_worker)
        .shutdown_timeout(config.lifecycle.shutdown_timeout().as_secs())
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let server = builder.listen("order-food", listener, move || {
        let app = App::new()
            .app_data(data.clone())
            .app_data(documents.clone())
            .configure(|routes| router::routes(routes, with_fault_injection))
            .wrap(Condition::new(with_limits, from_fn(admission::admit)))
            .wrap(cors(&origins))
            .wrap(from_fn(request::around));
        let app = app.into_factory().map_err(|error: actix_web::Error| error.error_response());
        let (noted, stopping) = (noted.clone(), stopping.clone());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(BoundServer::KEEP_ALIVE)
            .client_request_timeout(BoundServer::HEADER_TIMEOUT)
            .client_disconnect_timeout(BoundServer::DISCONNECT_TIMEOUT)
            .on_connect_ext(move |stream: &WithoutOffers, data: &mut Extensions| noted.note(&stream.0, data))
            .finish(map_config(app, |()| AppConfig::default()));
        let accepted = fn_service(|stream: TcpStream| async move {
            // Answers go out at once; a connection that is gone already is noticed by the first read.
            let _ = stream.set_nodelay(true);
            let peer = stream.peer_addr().ok();
            Ok((WithoutOffers(stream), Protocol::Http1, peer))
        });
        accepted.and_then(http)
    })?;
    Ok(server.run())
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
