//! Requests for the response that is stored under a key, which wait beside the queue of orders. To give it again is to
//! acknowledge the order again, so it comes from the connection that orders are stored on, with a commit after it.

use std::future::pending;

use domain::{ClientId, IdempotencyKey, StoredResponse};
use tokio::sync::{mpsc, oneshot};

use super::connection::WriterConnection;

/// A request for the response under a key. Dropped without a reply if it cannot be read.
pub(super) struct Lookup {
    pub client_id: ClientId,
    pub key: IdempotencyKey,
    pub reply: oneshot::Sender<Option<StoredResponse>>,
}

/// The lookups of one writer. Only the first writer has any.
pub(super) struct Lookups {
    requests: Option<mpsc::Receiver<Lookup>>,
    waiting: Vec<Lookup>,
}

impl Lookups {
    /// The most that are looked up at once.
    const MOST: usize = 256;

    pub(super) const fn new(requests: Option<mpsc::Receiver<Lookup>>) -> Self {
        Self { requests, waiting: Vec::new() }
    }

    /// Waits for the next request, for ever where none can come. May be dropped at any time.
    pub(super) async fn next(&mut self) {
        let Some(requests) = &mut self.requests else { return pending().await };
        match requests.recv().await {
            Some(lookup) => self.waiting.push(lookup),
            None => pending().await,
        }
    }

    /// Receives what has come. Returns whether there is anything to look up.
    pub(super) fn receive(&mut self) -> bool {
        let requests =
            self.requests.iter_mut().flat_map(|requests| std::iter::from_fn(|| requests.try_recv().ok()));
        self.waiting.extend(requests.take(Self::MOST));
        !self.waiting.is_empty()
    }

    /// Drops what has come: each request hears that its response cannot be read.
    pub(super) fn drop_all(&mut self) {
        self.receive();
        self.waiting.clear();
    }

    /// Looks up everything that was received.
    pub(super) async fn reply(&mut self, connection: &mut WriterConnection) {
        let waiting = std::mem::take(&mut self.waiting);
        let keys: Vec<(i64, &str)> =
            waiting.iter().map(|lookup| (lookup.client_id.get(), lookup.key.as_str())).collect();
        if let Some(mut responses) = connection.stored_responses(&keys).await {
            for Lookup { client_id, key, reply } in waiting {
                let response = responses.remove(&(client_id.get(), key.as_str().to_owned()));
                // A request that stopped waiting does not need it.
                let _ = reply.send(response);
            }
        }
    }
}
