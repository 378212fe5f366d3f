//! Requests for the answer that is stored under a key, which wait beside the queue of orders. To give it again is to
//! acknowledge the order again, so it comes from the connection that orders are stored on, with a commit after it.

use std::future::pending;

use domain::{ClientId, IdempotencyKey};
use tokio::sync::{mpsc, oneshot};

use super::super::StoredAnswer;
use super::worker::Writer;

/// Asks for the answer under a key. Dropped without a reply where it cannot be found out.
pub(super) struct Lookup {
    pub client_id: ClientId,
    pub key: IdempotencyKey,
    pub reply: oneshot::Sender<Option<StoredAnswer>>,
}

/// Those of one writer; only the first one has any.
pub(super) struct Lookups {
    asked: Option<mpsc::Receiver<Lookup>>,
    waiting: Vec<Lookup>,
}

impl Lookups {
    /// The most that are looked up at once.
    const MOST: usize = 256;

    pub(super) const fn new(asked: Option<mpsc::Receiver<Lookup>>) -> Self {
        Self { asked, waiting: Vec::new() }
    }

    /// Waits for the next request, for ever where none can come. May be dropped at any time.
    pub(super) async fn next(&mut self) {
        let Some(asked) = &mut self.asked else { return pending().await };
        match asked.recv().await {
            Some(lookup) => self.waiting.push(lookup),
            None => pending().await,
        }
    }

    /// The requests that have come. Those that are dropped hear that it cannot be found out.
    pub(super) fn take(&mut self) -> Vec<Lookup> {
        let asked = self.asked.iter_mut().flat_map(|asked| std::iter::from_fn(|| asked.try_recv().ok()));
        self.waiting.extend(asked.take(Self::MOST));
        std::mem::take(&mut self.waiting)
    }
}

impl Writer {
    /// Looks up what all that have asked want to know.
    pub(super) async fn look_up(&mut self) {
        let waiting = self.lookups.take();
        if waiting.is_empty() {
            return;
        }
        self.turn.note();
        let keys: Vec<(i64, &str)> =
            waiting.iter().map(|lookup| (lookup.client_id.get(), lookup.key.as_str())).collect();
        if let Some(mut answers) = self.store.answers(&keys).await {
            for Lookup { client_id, key, reply } in waiting {
                let answer = answers.remove(&(client_id.get(), key.as_str().to_owned()));
                // A request that ended meanwhile does not need to know.
                let _ = reply.send(answer);
            }
        }
        self.turn.note();
    }
}
