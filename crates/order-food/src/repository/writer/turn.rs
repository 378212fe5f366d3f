//! Whose turn it is: one writer does all the work as long as it can.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// Who writes when.
pub(super) enum Turn {
    /// Whenever there is something to write.
    First(watch::Sender<u64>),
    /// When a batch of the first takes long.
    Second(watch::Receiver<u64>),
}

impl Turn {
    /// How long a batch of the first writer may take before others help.
    const PATIENCE: Duration = Duration::from_millis(4);

    /// Waits until it is this one's turn.
    pub(super) async fn wait(&mut self) {
        let Self::Second(batches) = self else { return };
        // The first one never ends before the others do.
        while let Ok(batch) = batches.wait_for(|batch| batch % 2 == 1).await.map(|batch| *batch) {
            if timeout(Self::PATIENCE, batches.wait_for(|now| *now != batch)).await.is_err() {
                return;
            }
        }
    }

    /// Notes that a batch begins or ends.
    pub(super) fn note(&self) {
        if let Self::First(batches) = self {
            batches.send_modify(|batch| *batch += 1);
        }
    }
}
