//! What has to be done now and then: forget old idempotency keys, record when API keys were last used.

use std::sync::Arc;
use std::time::Duration;

use domain::Clock;
use storage::{Database, StorageError};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::service::ApiKeys;

/// Does it, in small steps that nobody has to wait for.
pub struct Housekeeping {
    database: Database,
    keys: Arc<ApiKeys>,
    clock: Arc<dyn Clock>,
}

impl Housekeeping {
    /// How long an idempotency key is kept at least.
    const KEYS_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
    const INTERVAL: Duration = Duration::from_secs(60);
    const BATCH: u32 = 1000;
    /// Leaves room for orders; so many keys at a time and so little between are more than orders make.
    const PAUSE: Duration = Duration::from_millis(20);

    /// Housekeeping for these.
    pub const fn new(database: Database, keys: Arc<ApiKeys>, clock: Arc<dyn Clock>) -> Self {
        Self { database, keys, clock }
    }

    /// Goes on until dropped.
    pub async fn run(&self) {
        let mut ticks = interval(Self::INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.prune().await {
                tracing::warn!(
                    cause = telemetry::causes(&error, database::words),
                    "old idempotency keys could not be removed"
                );
            }
            if let Err(error) = self.keys.record_uses().await {
                tracing::warn!(
                    cause = telemetry::causes(&error, database::words),
                    "the use of API keys could not be recorded"
                );
            }
        }
    }

    /// Forgets the idempotency keys that are old enough.
    pub async fn prune(&self) -> Result<(), StorageError> {
        let before = self.clock.now().minus(Self::KEYS_KEPT);
        while self.database.prune_idempotency_keys(before, Self::BATCH).await? == u64::from(Self::BATCH) {
            sleep(Self::PAUSE).await; // ok: leaves room for orders between batches
        }
        Ok(())
    }
}
