//! Which writer works: one of them does all the work as long as it can.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// When a writer may take orders.
pub(super) enum WriterTurn {
    /// Whenever there are any.
    First(watch::Sender<Progress>),
    /// When the first writer is busy with one thing for long.
    Second(watch::Receiver<Progress>),
}

/// What the first writer is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Counts the things it has begun.
    begun: u64,
    is_busy: bool,
}

impl WriterTurn {
    /// How long the first writer may be busy with one thing before others help.
    const PATIENCE: Duration = Duration::from_millis(4);

    /// Waits until this writer may take orders.
    pub(super) async fn wait(&mut self) {
        let Self::Second(progress) = self else { return };
        // The first writer never ends before the others do.
        while let Ok(seen) = progress.wait_for(|now| now.is_busy).await.map(|now| *now) {
            if timeout(Self::PATIENCE, progress.wait_for(|now| *now != seen)).await.is_err() {
                return;
            }
        }
    }

    /// The first writer is busy until the guard is dropped.
    pub(super) fn begin(&self) -> Busy {
        let Self::First(progress) = self else { return Busy(None) };
        progress.send_modify(|now| *now = Progress { begun: now.begun + 1, is_busy: true });
        Busy(Some(progress.clone()))
    }
}

/// The first writer is busy with one thing.
pub(super) struct Busy(Option<watch::Sender<Progress>>);

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(progress) = &self.0 {
            progress.send_modify(|now| now.is_busy = false);
        }
    }
}
