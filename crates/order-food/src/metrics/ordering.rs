//! Orders: what was decided about them, and how they got into the database.

use std::time::Duration;

use domain::Money;
use telemetry::metrics::Registry;
use telemetry::metrics::metrics::{Counter, Histogram};

use crate::repository::{CouponSource, NewOrder, OrderPlacement};

use super::definitions::{
    COUPON_DECISIONS, ORDER_VALUE, ORDERS_PLACED, ORDERS_REFUSED, ORDERS_REPLAYED, ORDERS_UNCONFIRMED,
    WRITE_BATCH, WRITE_DURATION, WRITE_WAIT,
};

/// How reasons begin that are outcomes of a coupon code.
const COUPON_REASON: &str = "coupon_";
const PROMOTION: &str = "promotion";
const CORPUS: &str = "corpus";

/// Counts what was decided about orders.
#[derive(Clone)]
pub struct OrderingMetrics {
    registry: Registry,
    placed: Counter,
    replayed: Counter,
    value: Histogram,
}

impl OrderingMetrics {
    /// Counts in `registry`.
    pub fn new(registry: &Registry) -> Self {
        Self {
            registry: registry.clone(),
            placed: registry.counter(&ORDERS_PLACED, &[]),
            replayed: registry.counter(&ORDERS_REPLAYED, &[]),
            value: registry.histogram(&ORDER_VALUE, &[]),
        }
    }

    /// Begins at zero what may be counted, with these reasons of the closed list: Prometheus does not see that a series
    /// began with its first event.
    pub fn begin(&self, refusals: impl IntoIterator<Item = &'static str>) {
        for reason in refusals {
            self.registry.counter(&ORDERS_REFUSED, &[reason]).increment(0);
            if let Some(outcome) = reason.strip_prefix(COUPON_REASON) {
                self.registry.counter(&COUPON_DECISIONS, &[outcome]).increment(0);
            }
        }
        for outcome in [PROMOTION, CORPUS] {
            self.registry.counter(&COUPON_DECISIONS, &[outcome]).increment(0);
        }
    }

    /// An order was stored.
    #[expect(clippy::cast_precision_loss, reason = "cents of an order")]
    fn note_placed(&self, total: Money, coupon: Option<&'static str>) {
        self.placed.increment(1);
        self.value.record(total.cents() as f64);
        if let Some(coupon) = coupon {
            self.note_coupon(coupon);
        }
    }

    /// An order was answered like an earlier one.
    pub fn note_replayed(&self) {
        self.replayed.increment(1);
    }

    /// An order was not taken, for a reason of the closed list.
    pub fn note_refused(&self, reason: &'static str) {
        self.registry.counter(&ORDERS_REFUSED, &[reason]).increment(1);
        if let Some(outcome) = reason.strip_prefix(COUPON_REASON) {
            self.note_coupon(outcome);
        }
    }

    fn note_coupon(&self, outcome: &str) {
        self.registry.counter(&COUPON_DECISIONS, &[outcome]).increment(1);
    }
}

/// Counts what the order writer does, and what became of the orders: it knows, also when nobody waits for them any more.
#[derive(Clone)]
pub struct WriterMetrics {
    ordering: OrderingMetrics,
    batch: Histogram,
    wait: Histogram,
    stored: Histogram,
    failed: Histogram,
    unconfirmed: Counter,
}

impl WriterMetrics {
    /// Counts in `registry`.
    pub fn new(registry: &Registry) -> Self {
        Self {
            ordering: OrderingMetrics::new(registry),
            batch: registry.histogram(&WRITE_BATCH, &[]),
            wait: registry.histogram(&WRITE_WAIT, &[]),
            stored: registry.histogram(&WRITE_DURATION, &["stored"]),
            failed: registry.histogram(&WRITE_DURATION, &["failed"]),
            unconfirmed: registry.counter(&ORDERS_UNCONFIRMED, &[]),
        }
    }

    /// An order was decided.
    pub fn note_outcome(&self, order: &NewOrder, outcome: &OrderPlacement) {
        let snapshot = &order.order.snapshot;
        match outcome {
            OrderPlacement::Stored => {
                let coupon = order.coupon.map(|coupon| match coupon {
                    CouponSource::Promotion => PROMOTION,
                    CouponSource::CouponFiles => CORPUS,
                });
                self.ordering.note_placed(snapshot.total_cents, coupon);
            }
            OrderPlacement::Replayed { .. } => self.ordering.note_replayed(),
            OrderPlacement::KeyReused | OrderPlacement::LimitReached(_) => {}
        }
    }

    /// So many orders are stored, but no commit showed in time that they are replicated.
    pub fn note_unconfirmed(&self, orders: usize) {
        self.unconfirmed.increment(orders as u64);
    }

    /// An order had waited that long when its transaction began.
    pub fn note_wait(&self, wait: Duration) {
        self.wait.record(wait);
    }

    /// A transaction with so many orders ended.
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    pub fn note_batch(&self, orders: usize, duration: Duration, is_stored: bool) {
        self.batch.record(orders as f64);
        if is_stored { self.stored.record(duration) } else { self.failed.record(duration) }
    }
}
