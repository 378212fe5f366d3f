//! Requests for a commit to pass, which wait beside the queue of orders.

use std::future::pending;

use tokio::sync::mpsc;

use super::Confirmation;
use super::connection::Store;
use super::worker::Writer;

/// Those of one writer; only the first one has any.
pub(super) struct Confirmations {
    asked: Option<mpsc::Receiver<Confirmation>>,
    waiting: Vec<Confirmation>,
}

impl Confirmations {
    pub(super) const fn new(asked: Option<mpsc::Receiver<Confirmation>>) -> Self {
        Self { asked, waiting: Vec::new() }
    }

    /// Waits for the next request, for ever where none can come. May be dropped at any time.
    pub(super) async fn next(&mut self) {
        let Some(asked) = &mut self.asked else { return pending().await };
        match asked.recv().await {
            Some(confirmation) => self.waiting.push(confirmation),
            None => pending().await,
        }
    }

    /// Every request that has come. Those that are dropped hear that no commit has passed.
    pub(super) fn take(&mut self) -> Vec<Confirmation> {
        let asked = self.asked.iter_mut().flat_map(|asked| std::iter::from_fn(|| asked.try_recv().ok()));
        self.waiting.extend(asked);
        std::mem::take(&mut self.waiting)
    }
}

impl Writer {
    /// Has a commit pass for all that have asked for one.
    pub(super) async fn confirm(&mut self) {
        let waiting = self.confirmations.take();
        if waiting.is_empty() {
            return;
        }
        self.turn.note();
        if self.store.confirm(Store::CONFIRM_DEADLINE).await {
            for confirmation in waiting {
                // A request that ended meanwhile does not need to know.
                let _ = confirmation.send(());
            }
        }
        self.turn.note();
    }
}
