//! How many requests are under way, so that stopping can wait for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Counts requests under way.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<AtomicUsize>);

/// One request under way, until dropped.
#[derive(Debug)]
pub struct InFlightGuard(InFlight);

impl InFlight {
    /// How long nothing must be under way before a connection counts as idle: the answer's last bytes have left, and a
    /// client that had sent its next request has been heard.
    const QUIET_PERIOD: Duration = Duration::from_millis(150);
    const LOOK_INTERVAL: Duration = Duration::from_millis(5);

    /// Counts one more.
    #[must_use]
    pub fn enter(&self) -> InFlightGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        InFlightGuard(self.clone())
    }

    /// Waits until nothing has been under way for a while. Looks now and then, so that requests, which are many, need
    /// not tell anybody.
    pub async fn wait_until_quiet(&self) {
        let mut quiet_since = Instant::now();
        while quiet_since.elapsed() < Self::QUIET_PERIOD {
            if self.0.load(Ordering::Relaxed) > 0 {
                quiet_since = Instant::now();
            }
            sleep(Self::LOOK_INTERVAL).await; // ok: the caller has a deadline
        }
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
