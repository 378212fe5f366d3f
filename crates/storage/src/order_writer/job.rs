//! An order on its way through the writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::{NewOrder, Placement};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::Span;

use crate::StorageError;

/// What became of an order, or why that is not known.
pub type PlaceResult = Result<Placement, StorageError>;

/// One order, and the request that waits for it.
pub(super) struct Job {
    pub order: Box<NewOrder>,
    pub reply: oneshot::Sender<PlaceResult>,
    pub claim: Claim,
    /// When it was put into the queue.
    pub queued: Instant,
    pub deadline: Instant,
    /// The span that the order's request is inside of.
    pub span: Span,
}

impl Job {
    /// Sends the result, and returns the order, which nobody needs any more.
    pub fn reply(self, result: PlaceResult) -> Box<NewOrder> {
        // A request that stopped waiting does not need the result.
        let _ = self.reply.send(result);
        self.order
    }
}

/// Decides between the writer that takes an order and the request that stops waiting for it: the first to claim the
/// order decides whether it is written. Cloning gives another handle.
#[derive(Clone, Default)]
pub(super) struct Claim(Arc<AtomicBool>);

impl Claim {
    /// Claims the order. Returns whether nobody had claimed it before.
    pub fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// Gives the order back: anybody may claim it again.
    pub fn give_back(&self) {
        self.0.store(false, Ordering::Release);
    }
}
