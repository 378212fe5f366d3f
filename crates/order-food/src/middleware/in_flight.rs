//! How many requests are under way, so that stopping can wait for them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// Counts requests under way.
#[derive(Debug, Clone)]
pub struct InFlight(Arc<watch::Sender<usize>>);

/// One request under way, until dropped.
#[derive(Debug)]
pub struct InFlightGuard(InFlight);

impl Default for InFlight {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl InFlight {
    /// How long nothing must be under way before a connection counts as idle: the answer's last bytes have left, and a
    /// client that had sent its next request has been heard.
    const QUIET_PERIOD: Duration = Duration::from_millis(150);

    /// Counts one more.
    #[must_use]
    pub fn enter(&self) -> InFlightGuard {
        self.0.send_modify(|count| *count += 1);
        InFlightGuard(self.clone())
    }

    /// Waits until nothing has been under way for a while.
    pub async fn is_quiet(&self) {
        let mut counts = self.0.subscribe();
        loop {
            // The sender lives in `self`.
            let _ = counts.wait_for(|count| *count == 0).await;
            if timeout(Self::QUIET_PERIOD, counts.changed()).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}
