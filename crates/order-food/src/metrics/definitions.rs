//! Every metric of the API, but for those of the process itself (`process_*`). `docs/telemetry.md` says the same.

use telemetry::metrics::Metric;

/// Bounds of the semantic conventions for HTTP.
const HTTP_SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const BODY_BYTES: &[f64] = &[128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 16384.0, 65536.0, 1_048_576.0];

const REQUEST: &[&str] = &["http_request_method", "http_route", "http_response_status_code"];

pub(crate) const REQUEST_DURATION: Metric = Metric::histogram(
    "http_server_request_duration_seconds",
    REQUEST,
    HTTP_SECONDS,
    "Seconds from a request's head to its answer's; the route is a template.",
);
pub(crate) const ACTIVE_REQUESTS: Metric =
    Metric::gauge("http_server_active_requests", &["http_request_method"], "Requests under way.");
pub(crate) const REQUEST_BODY: Metric = Metric::histogram(
    "http_server_request_body_size_bytes",
    REQUEST,
    BODY_BYTES,
    "Bytes announced by requests with a body.",
);
pub(crate) const RESPONSE_BODY: Metric = Metric::histogram(
    "http_server_response_body_size_bytes",
    REQUEST,
    BODY_BYTES,
    "Bytes of answers' bodies, compressed if they are.",
);
pub(crate) const PANICS: Metric =
    Metric::counter("panics_total", &[], "Handlers that panicked; their requests were answered with 500.");

pub(crate) const INVALID_FORWARDED: Metric = Metric::counter(
    "forwarded_addresses_invalid_total",
    &[],
    "Requests whose X-Forwarded-For has something else than an address where the client's should be.",
);

pub(crate) const ORDERS_REFUSED: Metric = Metric::counter(
    "orders_refused_total",
    &["reason"],
    "Orders not answered with 200, by the reason in the answer; after outcome_unknown one may have been stored.",
);
pub(crate) const QUEUE_ORDERS: Metric =
    Metric::gauge("order_queue_orders", &[], "Orders that wait for a transaction.");
pub(crate) const QUEUE_CAPACITY: Metric =
    Metric::gauge("order_queue_capacity_orders", &[], "Orders that may wait now; more are refused.");

pub(crate) const WRITERS: Metric = Metric::gauge(
    "order_writers_connected",
    &[],
    "Writers of orders that have a connection; without one, orders are refused.",
);

pub(crate) const DATABASE_UP: Metric =
    Metric::gauge("database_up", &[], "Whether the database answered when last asked, twice a second.");
pub(crate) const DATABASE_STATE: Metric = Metric::gauge(
    "database_state",
    &["state"],
    "1 for the state of the database when last asked: up, down, standby, read_only, pooled or replaced.",
);
pub(crate) const CONNECTIONS: Metric = Metric::gauge(
    "db_client_connections",
    &["db_client_connection_pool_name", "db_client_connection_state"],
    "Connections to the database, idle or used.",
);
pub(crate) const CONNECTIONS_MAX: Metric = Metric::gauge(
    "db_client_connection_max",
    &["db_client_connection_pool_name"],
    "Connections that a pool may have.",
);

pub(crate) const READY: Metric = Metric::gauge("ready", &[], "Whether /readyz answers 200.");
pub(crate) const CATALOGUE_AGE: Metric = Metric::gauge(
    "catalogue_age_seconds",
    &[],
    "Seconds since what is in memory (menu, keys, promotions, codes) was last found in step with the database.",
);
pub(crate) const CATALOGUE_ITEMS: Metric = Metric::gauge(
    "catalogue_items",
    &["kind"],
    "What is in memory: products, promotions, coupon_codes, api_keys.",
);

pub(crate) const CATALOGUE_UNKNOWN: Metric = Metric::gauge(
    "catalogue_unknown_items",
    &["kind"],
    "Words in the database that this release does not know and passes over: scopes, promotion_kinds.",
);

pub(crate) const LOG_LINES: Metric =
    Metric::counter("log_lines_total", &["level"], "Lines of level warn and error that were logged.");
pub(crate) const LOG_LINES_DROPPED: Metric =
    Metric::counter("log_lines_dropped_total", &[], "Log lines that nobody took in time.");
pub(crate) const SPANS: Metric = Metric::counter(
    "trace_spans_total",
    &["outcome"],
    "Spans of kept traces: exported, failed (the collector did not take them), dropped (no room).",
);
pub(crate) const TOKIO_WORKERS: Metric = Metric::gauge(
    "tokio_workers",
    &[],
    "Threads of the runtime that writes orders and follows the database.",
);
pub(crate) const TOKIO_TASKS: Metric = Metric::gauge("tokio_alive_tasks", &[], "Tasks on that runtime.");
pub(crate) const TOKIO_QUEUE: Metric =
    Metric::gauge("tokio_global_queue_tasks", &[], "Tasks that wait for a thread of that runtime.");
pub(crate) const BUILD_INFO: Metric =
    Metric::gauge("build_info", &["version"], "1, with the version as a label.");

const OWN: [Metric; 25] = [
    REQUEST_DURATION,
    ACTIVE_REQUESTS,
    REQUEST_BODY,
    RESPONSE_BODY,
    PANICS,
    INVALID_FORWARDED,
    ORDERS_REFUSED,
    QUEUE_ORDERS,
    QUEUE_CAPACITY,
    WRITERS,
    DATABASE_UP,
    DATABASE_STATE,
    CONNECTIONS,
    CONNECTIONS_MAX,
    READY,
    CATALOGUE_AGE,
    CATALOGUE_ITEMS,
    CATALOGUE_UNKNOWN,
    LOG_LINES,
    LOG_LINES_DROPPED,
    SPANS,
    TOKIO_WORKERS,
    TOKIO_TASKS,
    TOKIO_QUEUE,
    BUILD_INFO,
];

/// Every metric, those of storage too.
pub fn metrics() -> Vec<Metric> {
    [&OWN[..], &storage::metrics::METRICS].concat()
}
