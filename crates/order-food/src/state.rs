//! What handlers reach, grouped by what it is for.

use std::sync::Arc;

use database::Pools;
use storage::OrderWriter;
use telemetry::metrics::Registry;
use telemetry::{LogCounts, Tracing};
use tokio::runtime::Handle;

use crate::config::TrustedProxies;
use crate::metrics::{HttpMetrics, OrderingMetrics};
use crate::server::in_flight::InFlight;
use crate::service::{ApiKeys, Menu, Ordering, Promotions, RateLimits, Readiness, ShopSettings};

/// The state of a server, the same for all its threads.
pub struct AppState {
    pub catalogue: Catalogue,
    /// Places, prices and finds orders.
    pub ordering: Ordering,
    pub observability: Observability,
    pub edge: Edge,
}

/// What is kept in memory, and followed in the database.
pub struct Catalogue {
    pub menu: Arc<Menu>,
    /// Promotions, and the codes of the coupon files.
    pub promotions: Arc<Promotions>,
    pub api_keys: Arc<ApiKeys>,
    pub shop: Arc<ShopSettings>,
    /// Whether this process can take traffic.
    pub readiness: Arc<Readiness>,
}

/// What `/metrics`, `/health`, traces and logs are made from.
pub struct Observability {
    /// All metrics.
    pub registry: Registry,
    pub http_metrics: HttpMetrics,
    pub ordering_metrics: OrderingMetrics,
    /// Decides which traces are kept.
    pub tracing: Tracing,
    /// Whether probes and scrapes are traced, too.
    pub traces_probes: bool,
    pub log_counts: LogCounts,
    /// Where orders wait for their transaction.
    pub writer: OrderWriter,
    /// The connections for everything but orders.
    pub pools: Pools,
    /// The runtime of everything but requests.
    pub runtime: Handle,
    /// The database's kind.
    pub engine: &'static str,
    /// The version that metrics name.
    pub version: String,
}

/// What is decided before a handler is reached.
pub struct Edge {
    pub rate_limits: RateLimits,
    /// The proxies whose word about addresses counts.
    pub trusted_proxies: TrustedProxies,
    /// Requests under way.
    pub in_flight: InFlight,
    /// Whether requests may ask for faults.
    pub with_fault_injection: bool,
}
