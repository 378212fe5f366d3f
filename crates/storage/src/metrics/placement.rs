//! Orders: how they got into the database, and what became of them.

use std::time::Duration;

use domain::{CouponSource, NewOrder, Placement};
use telemetry::metrics::Registry;
use telemetry::metrics::metrics::{Counter, Histogram};

use super::definitions::{
    COUPON_DECISIONS, ORDER_VALUE, ORDERS_PLACED, ORDERS_REPLAYED, ORDERS_UNCONFIRMED, WRITE_BATCH,
    WRITE_DURATION, WRITE_WAIT,
};

/// Counts orders that were placed or repeated.
#[derive(Clone)]
pub struct PlacementMetrics {
    placed: Counter,
    replayed: Counter,
    value: Histogram,
    promotions: Counter,
    coupon_files: Counter,
}

impl PlacementMetrics {
    /// Counts in `registry`. The series of coupons begin at zero: Prometheus does not see the event that a series begins
    /// with.
    pub fn new(registry: &Registry) -> Self {
        let coupons = |outcome| {
            let counter = registry.counter(&COUPON_DECISIONS, &[outcome]);
            counter.increment(0);
            counter
        };
        Self {
            placed: registry.counter(&ORDERS_PLACED, &[]),
            replayed: registry.counter(&ORDERS_REPLAYED, &[]),
            value: registry.histogram(&ORDER_VALUE, &[]),
            promotions: coupons("promotion"),
            coupon_files: coupons("corpus"),
        }
    }

    /// Counts an order that was stored.
    #[expect(clippy::cast_precision_loss, reason = "cents of an order")]
    fn record_placed(&self, order: &NewOrder) {
        self.placed.increment(1);
        self.value.record(order.order.snapshot.total_cents.cents() as f64);
        match order.coupon {
            Some(CouponSource::Promotion) => self.promotions.increment(1),
            Some(CouponSource::CouponFiles) => self.coupon_files.increment(1),
            None => {}
        }
    }

    /// Counts an order that got the response of an earlier one.
    pub fn record_replayed(&self) {
        self.replayed.increment(1);
    }
}

/// Counts what the order writer does, and what became of the orders: the writer knows, even when no request waits for
/// them any more.
#[derive(Clone)]
pub struct WriterMetrics {
    placement: PlacementMetrics,
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
            placement: PlacementMetrics::new(registry),
            batch: registry.histogram(&WRITE_BATCH, &[]),
            wait: registry.histogram(&WRITE_WAIT, &[]),
            stored: registry.histogram(&WRITE_DURATION, &["stored"]),
            failed: registry.histogram(&WRITE_DURATION, &["failed"]),
            unconfirmed: registry.counter(&ORDERS_UNCONFIRMED, &[]),
        }
    }

    /// Counts an order by what became of it.
    pub fn record_outcome(&self, order: &NewOrder, placement: &Placement) {
        match placement {
            Placement::Stored => self.placement.record_placed(order),
            Placement::Replayed { .. } => self.placement.record_replayed(),
            Placement::KeyReused | Placement::LimitReached(_) => {}
        }
    }

    /// Counts orders that are stored, and that no commit showed in time to be replicated.
    pub fn record_unconfirmed(&self, orders: usize) {
        self.unconfirmed.increment(orders as u64);
    }

    /// Records how long an order had waited when its transaction began.
    pub fn record_wait(&self, wait: Duration) {
        self.wait.record(wait);
    }

    /// Records a transaction.
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    pub fn record_batch(&self, orders: usize, duration: Duration, is_stored: bool) {
        self.batch.record(orders as f64);
        if is_stored { self.stored.record(duration) } else { self.failed.record(duration) }
    }
}
