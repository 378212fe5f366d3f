//! Statements.

use std::time::Duration;

use telemetry::metrics::Registry;

use super::definitions::DATABASE_DURATION;

/// Counts statements.
#[derive(Clone)]
pub struct DatabaseMetrics {
    registry: Registry,
    system: &'static str,
}

impl DatabaseMetrics {
    /// Counts in `registry`; `system` is the engine's name.
    pub fn new(registry: &Registry, system: &'static str) -> Self {
        Self { registry: registry.clone(), system }
    }

    /// A statement ended.
    pub fn record(&self, operation: &str, collection: &str, error_type: Option<&str>, duration: Duration) {
        let labels = [self.system, operation, collection, error_type.unwrap_or_default()];
        self.registry.histogram(&DATABASE_DURATION, &labels).record(duration);
    }
}
