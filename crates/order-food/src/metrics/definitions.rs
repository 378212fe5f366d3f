//! Every metric of the API, but for those of the process itself (`process_*`). `docs/telemetry.md` says the same.

use telemetry::metrics::{Kind, Metric};

/// Bounds of the semantic conventions for HTTP.
const HTTP_SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Bounds of the semantic conventions for databases.
const DATABASE_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
/// A commit takes fractions of a millisecond on a good disk; an order is given up after two seconds.
const WRITE_SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
const BODY_BYTES: &[f64] = &[128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 16384.0, 65536.0, 1_048_576.0];
const BATCH_ORDERS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
const VALUE_CENTS: &[f64] =
    &[500.0, 1000.0, 2000.0, 3000.0, 5000.0, 10000.0, 20000.0, 50000.0, 100_000.0, 1_000_000.0];

const REQUEST: &[&str] = &["http_request_method", "http_route", "http_response_status_code"];

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, help, labels }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, help, labels }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    bounds: &'static [f64],
    help: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Histogram(bounds), help, labels }
}

pub(crate) const REQUEST_DURATION: Metric = histogram(
    "http_server_request_duration_seconds",
    REQUEST,
    HTTP_SECONDS,
    "Seconds from a request's head to its answer's; the route is a template.",
);
pub(crate) const ACTIVE_REQUESTS: Metric =
    gauge("http_server_active_requests", &["http_request_method"], "Requests under way.");
pub(crate) const REQUEST_BODY: Metric = histogram(
    "http_server_request_body_size_bytes",
    REQUEST,
    BODY_BYTES,
    "Bytes announced by requests with a body.",
);
pub(crate) const RESPONSE_BODY: Metric = histogram(
    "http_server_response_body_size_bytes",
    REQUEST,
    BODY_BYTES,
    "Bytes of answers' bodies, compressed if they are.",
);
pub(crate) const PANICS: Metric =
    counter("panics_total", &[], "Handlers that panicked; their requests were answered with 500.");

pub(crate) const INVALID_FORWARDED: Metric = counter(
    "forwarded_addresses_invalid_total",
    &[],
    "Requests whose X-Forwarded-For has something else than an address where the client's should be.",
);

pub(crate) const ORDERS_PLACED: Metric =
    counter("orders_placed_total", &[], "Orders stored, repetitions not counted.");
pub(crate) const ORDERS_REPLAYED: Metric = counter(
    "orders_replayed_total",
    &[],
    "Orders answered from an earlier one with the same idempotency key.",
);
pub(crate) const ORDERS_REFUSED: Metric = counter(
    "orders_refused_total",
    &["reason"],
    "Orders not answered with 200, by the reason in the answer; after outcome_unknown one may have been stored.",
);
pub(crate) const ORDERS_UNCONFIRMED: Metric = counter(
    "orders_unconfirmed_total",
    &[],
    "Orders that are stored, and that no commit in time showed to be replicated; their clients were answered outcome_unknown.",
);
pub(crate) const ORDER_VALUE: Metric = histogram(
    "order_value_cents",
    &[],
    VALUE_CENTS,
    "Totals of stored orders in hundredths of the currency.",
);
pub(crate) const COUPON_DECISIONS: Metric = counter(
    "coupon_decisions_total",
    &["outcome"],
    "Coupon codes of orders: promotion, corpus (a code of the coupon files), or why they were refused.",
);

pub(crate) const WRITE_BATCH: Metric = histogram(
    "order_write_batch_orders",
    &[],
    BATCH_ORDERS,
    "Orders that went to the database in one transaction.",
);
pub(crate) const WRITE_WAIT: Metric = histogram(
    "order_write_wait_seconds",
    &[],
    WRITE_SECONDS,
    "Seconds that an order waited for its transaction to begin.",
);
pub(crate) const WRITE_DURATION: Metric = histogram(
    "order_write_duration_seconds",
    &["outcome"],
    WRITE_SECONDS,
    "Seconds that a transaction with orders took, by its outcome: stored or failed.",
);
pub(crate) const QUEUE_ORDERS: Metric =
    gauge("order_queue_orders", &[], "Orders that wait for a transaction.");
pub(crate) const QUEUE_CAPACITY: Metric =
    gauge("order_queue_capacity_orders", &[], "Orders that may wait now; more are refused.");

pub(crate) const WRITERS: Metric = gauge(
    "order_writers_connected",
    &[],
    "Writers of orders that have a connection; without one, orders are refused.",
);

pub(crate) const DATABASE_UP: Metric =
    gauge("database_up", &[], "Whether the database answered when last asked, twice a second.");
pub(crate) const DATABASE_STATE: Metric = gauge(
    "database_state",
    &["state"],
    "1 for the state of the database when last asked: up, down, standby, read_only, pooled or replaced.",
);
pub(crate) const DATABASE_DURATION: Metric = histogram(
    "db_client_operation_duration_seconds",
    &["db_system_name", "db_operation_name", "db_collection_name", "error_type"],
    DATABASE_SECONDS,
    "Seconds that a statement took, its wait for a connection included; error_type is empty where it succeeded.",
);
pub(crate) const CONNECTIONS: Metric = gauge(
    "db_client_connections",
    &["db_client_connection_pool_name", "db_client_connection_state"],
    "Connections to the database, idle or used.",
);
pub(crate) const CONNECTIONS_MAX: Metric = gauge(
    "db_client_connection_max",
    &["db_client_connection_pool_name"],
    "Connections that a pool may have.",
);

pub(crate) const READY: Metric = gauge("ready", &[], "Whether /readyz answers 200.");
pub(crate) const CATALOGUE_AGE: Metric = gauge(
    "catalogue_age_seconds",
    &[],
    "Seconds since what is in memory (menu, keys, promotions, codes) was last found in step with the database.",
);
pub(crate) const CATALOGUE_ITEMS: Metric =
    gauge("catalogue_items", &["kind"], "What is in memory: products, promotions, coupon_codes, api_keys.");

pub(crate) const LOG_LINES: Metric =
    counter("log_lines_total", &["level"], "Lines of level warn and error that were logged.");
pub(crate) const LOG_LINES_DROPPED: Metric =
    counter("log_lines_dropped_total", &[], "Log lines that nobody took in time.");
pub(crate) const SPANS: Metric = counter(
    "trace_spans_total",
    &["outcome"],
    "Spans of kept traces: exported, failed (the collector did not take them), dropped (no room).",
);
pub(crate) const TOKIO_WORKERS: Metric =
    gauge("tokio_workers", &[], "Threads of the runtime that writes orders and follows the database.");
pub(crate) const TOKIO_TASKS: Metric = gauge("tokio_alive_tasks", &[], "Tasks on that runtime.");
pub(crate) const TOKIO_QUEUE: Metric =
    gauge("tokio_global_queue_tasks", &[], "Tasks that wait for a thread of that runtime.");
pub(crate) const BUILD_INFO: Metric = gauge("build_info", &["version"], "1, with the version as a label.");

/// All of them.
pub const METRICS: [Metric; 33] = [
    REQUEST_DURATION,
    ACTIVE_REQUESTS,
    REQUEST_BODY,
    RESPONSE_BODY,
    PANICS,
    INVALID_FORWARDED,
    ORDERS_PLACED,
    ORDERS_REPLAYED,
    ORDERS_REFUSED,
    ORDERS_UNCONFIRMED,
    ORDER_VALUE,
    COUPON_DECISIONS,
    WRITE_BATCH,
    WRITE_WAIT,
    WRITE_DURATION,
    QUEUE_ORDERS,
    QUEUE_CAPACITY,
    WRITERS,
    DATABASE_UP,
    DATABASE_STATE,
    DATABASE_DURATION,
    CONNECTIONS,
    CONNECTIONS_MAX,
    READY,
    CATALOGUE_AGE,
    CATALOGUE_ITEMS,
    LOG_LINES,
    LOG_LINES_DROPPED,
    SPANS,
    TOKIO_WORKERS,
    TOKIO_TASKS,
    TOKIO_QUEUE,
    BUILD_INFO,
];
