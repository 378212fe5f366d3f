//! The metrics of storage. `docs/telemetry.md` says the same.

use telemetry::metrics::Metric;

/// Bounds of the semantic conventions for databases.
const DATABASE_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
/// A commit takes fractions of a millisecond on a good disk; an order is given up after two seconds.
const WRITE_SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
const BATCH_ORDERS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
const VALUE_CENTS: &[f64] =
    &[500.0, 1000.0, 2000.0, 3000.0, 5000.0, 10000.0, 20000.0, 50000.0, 100_000.0, 1_000_000.0];

pub const ORDERS_PLACED: Metric =
    Metric::counter("orders_placed_total", &[], "Orders stored, repetitions not counted.");
pub const ORDERS_REPLAYED: Metric = Metric::counter(
    "orders_replayed_total",
    &[],
    "Orders answered from an earlier one with the same idempotency key.",
);
pub const ORDERS_UNCONFIRMED: Metric = Metric::counter(
    "orders_unconfirmed_total",
    &[],
    "Orders that are stored, and that no commit in time showed to be replicated; their clients were answered outcome_unknown.",
);
pub const ORDER_VALUE: Metric = Metric::histogram(
    "order_value_cents",
    &[],
    VALUE_CENTS,
    "Totals of stored orders in hundredths of the currency.",
);
pub const COUPON_DECISIONS: Metric = Metric::counter(
    "coupon_decisions_total",
    &["outcome"],
    "Coupon codes of orders: promotion, corpus (a code of the coupon files), or why they were refused.",
);
pub const WRITE_BATCH: Metric = Metric::histogram(
    "order_write_batch_orders",
    &[],
    BATCH_ORDERS,
    "Orders that went to the database in one transaction.",
);
pub const WRITE_WAIT: Metric = Metric::histogram(
    "order_write_wait_seconds",
    &[],
    WRITE_SECONDS,
    "Seconds that an order waited for its transaction to begin.",
);
pub const WRITE_DURATION: Metric = Metric::histogram(
    "order_write_duration_seconds",
    &["outcome"],
    WRITE_SECONDS,
    "Seconds that a transaction with orders took, by its outcome: stored or failed.",
);
pub const DATABASE_DURATION: Metric = Metric::histogram(
    "db_client_operation_duration_seconds",
    &["db_system_name", "db_operation_name", "db_collection_name", "error_type"],
    DATABASE_SECONDS,
    "Seconds that a statement took, its wait for a connection included; error_type is empty where it succeeded.",
);

/// All of them.
pub const METRICS: [Metric; 9] = [
    ORDERS_PLACED,
    ORDERS_REPLAYED,
    ORDERS_UNCONFIRMED,
    ORDER_VALUE,
    COUPON_DECISIONS,
    WRITE_BATCH,
    WRITE_WAIT,
    WRITE_DURATION,
    DATABASE_DURATION,
];
