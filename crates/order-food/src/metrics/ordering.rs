//! Orders: what was decided about them, and how they got into the database.

use std::time::Duration;

use domain::Money;
use telemetry::metrics::Registry;
use telemetry::metrics::metrics::{Counter, Histogram};

use super::definitions::{
    COUPON_DECISIONS, ORDER_VALUE, ORDERS_PLACED, ORDERS_REFUSED, ORDERS_REPLAYED, WRITE_BATCH,
    WRITE_DURATION, WRITE_WAIT,
};

/// Counts what was decided about orders.
#[derive(Clone)]
pub struct OrderingMetrics {
    registry: Registry,
    placed: Counter,
    replayed: Counter,
    value: Histogram,
}

/// What was decided about a coupon code that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CouponOutcome {
    /// A promotion was applied.
    Promotion,
    /// A code of the coupon files was accepted.
    Corpus,
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

    /// An order was stored.
    #[expect(clippy::cast_precision_loss, reason = "cents of an order")]
    pub fn note_placed(&self, total: Money, coupon: Option<CouponOutcome>) {
        self.placed.increment(1);
        self.value.record(total.cents() as f64);
        match coupon {
            None => {}
            Some(CouponOutcome::Promotion) => self.note_coupon("promotion"),
            Some(CouponOutcome::Corpus) => self.note_coupon("corpus"),
        }
    }

    /// An order was answered like an earlier one.
    pub fn note_replayed(&self) {
        self.replayed.increment(1);
    }

    /// An order was not taken, for a reason of the closed list.
    pub fn note_refused(&self, reason: &'static str) {
        self.registry.counter(&ORDERS_REFUSED, &[reason]).increment(1);
        if let Some(outcome) = reason.strip_prefix("coupon_") {
            self.note_coupon(outcome);
        }
    }

    fn note_coupon(&self, outcome: &str) {
        self.registry.counter(&COUPON_DECISIONS, &[outcome]).increment(1);
    }
}

/// Counts what the order writer does.
#[derive(Clone)]
pub struct WriterMetrics {
    batch: Histogram,
    wait: Histogram,
    stored: Histogram,
    failed: Histogram,
}

impl WriterMetrics {
    /// Counts in `registry`.
    pub fn new(registry: &Registry) -> Self {
        Self {
            batch: registry.histogram(&WRITE_BATCH, &[]),
            wait: registry.histogram(&WRITE_WAIT, &[]),
            stored: registry.histogram(&WRITE_DURATION, &["stored"]),
            failed: registry.histogram(&WRITE_DURATION, &["failed"]),
        }
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
