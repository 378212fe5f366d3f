//! Orders: why they were refused. Storage counts the others.

use storage::metrics::PlacementMetrics;
use storage::metrics::definitions::COUPON_DECISIONS;
use telemetry::metrics::Registry;

use super::definitions::ORDERS_REFUSED;

/// How reasons begin that are outcomes of a coupon code.
const COUPON_REASON: &str = "coupon_";

/// Counts what was decided about orders before they reached the writer.
#[derive(Clone)]
pub struct OrderingMetrics {
    registry: Registry,
    placement: PlacementMetrics,
}

impl OrderingMetrics {
    /// Counts in `registry`.
    pub fn new(registry: &Registry) -> Self {
        Self { registry: registry.clone(), placement: PlacementMetrics::new(registry) }
    }

    /// Begins the series of these reasons of the closed list at zero: Prometheus does not see the event that a series
    /// begins with.
    pub fn begin(&self, refusals: impl IntoIterator<Item = &'static str>) {
        for reason in refusals {
            self.registry.counter(&ORDERS_REFUSED, &[reason]).increment(0);
            if let Some(outcome) = reason.strip_prefix(COUPON_REASON) {
                self.registry.counter(&COUPON_DECISIONS, &[outcome]).increment(0);
            }
        }
    }

    /// Counts an order that got the response of an earlier one.
    pub fn record_replayed(&self) {
        self.placement.record_replayed();
    }

    /// Counts an order that was refused, for a reason of the closed list.
    pub fn record_refused(&self, reason: &'static str) {
        self.registry.counter(&ORDERS_REFUSED, &[reason]).increment(1);
        if let Some(outcome) = reason.strip_prefix(COUPON_REASON) {
            self.registry.counter(&COUPON_DECISIONS, &[outcome]).increment(1);
        }
    }
}
