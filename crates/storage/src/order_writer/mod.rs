//! The order writer: orders that arrive while a commit is under way share the next one.
//!
//! An order that arrives alone is written at once. Under load a batch is whatever arrived during the last commit, within
//! bounds; one statement and one commit store all of it. Every order is decided by itself: a used key, a limit that is
//! reached or a row that the database refuses concerns that order and none of its neighbours.
//!
//! An order is acknowledged only after its commit. Ids are fixed before the first attempt, so that after a commit with
//! an unknown outcome the database can be asked which orders it has. Only the others are tried again.

mod batch;
mod blocked;
mod connection;
mod deadline;
mod failure;
mod job;
mod lookups;
mod open_file;
mod postgres;
mod queue_limit;
mod recovery;
mod sqlite;
mod status;
mod task;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use database::{DatabaseUrl, Unusable};
use domain::{ClientId, IdempotencyKey, NewOrder, StoredResponse};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};
use tracing::Span;

use crate::StorageError;
use crate::metrics::WriterMetrics;
use blocked::BlockedOrders;
use connection::WriterConnection;
use job::{Claim, Job};
use lookups::{Lookup, Lookups};
use queue_limit::{QUEUE_ORDERS, QueueLimit};
use status::Status;
use task::WriterTask;
use turn::{Progress, WriterTurn};

pub use job::PlaceResult;

/// Takes orders to be stored. Cloning gives another handle to the same queue.
#[derive(Clone)]
pub struct OrderWriter {
    queue: mpsc::Sender<Job>,
    lookups: mpsc::Sender<Lookup>,
    status: Arc<Status>,
    queue_limit: Arc<QueueLimit>,
}

impl OrderWriter {
    /// How long an order may take altogether.
    const DEADLINE: Duration = Duration::from_millis(1600);
    /// How long an order waits for a writer that has no connection.
    const UNCONNECTED_DEADLINE: Duration = Duration::from_millis(150);
    /// How long after its deadline an order waits for the reply of a writer that has claimed it.
    const REPLY_GRACE: Duration = Duration::from_millis(100);

    /// Starts as many writers as commits make sense at the same time: SQLite has one, PostgreSQL `writers`. The first of
    /// them does all the work as long as it can: the fewer commits, the less each order costs. Where a commit takes
    /// long, because the disk is slow or another session holds a key, the others take what waits behind it.
    pub fn start(url: &DatabaseUrl, writers: usize, metrics: &WriterMetrics) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE_ORDERS);
        let jobs = Arc::new(Mutex::new(jobs));
        let (lookups, requests) = mpsc::channel(QUEUE_ORDERS);
        let mut requests = Some(requests);
        let status = Arc::new(Status::default());
        let writers = if url.sqlite_file().is_some() { 1 } else { writers };
        let queue_limit = Arc::new(QueueLimit::new(writers));
        let (progress, _) = watch::channel(Progress::default());
        let mut turn = WriterTurn::First(progress.clone());
        for number in 0..writers {
            let task = WriterTask {
                number,
                jobs: jobs.clone(),
                lookups: Lookups::new(requests.take()),
                blocked: BlockedOrders::new(),
                connection: WriterConnection::new(url.clone(), status.clone()),
                turn,
                status: status.clone(),
                is_counted: false,
                queue_limit: queue_limit.clone(),
                metrics: metrics.clone(),
            };
            tokio::spawn(task.run());
            turn = WriterTurn::Second(progress.subscribe());
        }
        Self { queue, lookups, status, queue_limit }
    }

    /// Stores an order with its key, its redemption and its uses, all or nothing. [`domain::Placement::Stored`] means
    /// that it is durable.
    pub async fn place(&self, order: NewOrder) -> PlaceResult {
        let (reply, mut result) = oneshot::channel();
        let claim = Claim::default();
        let now = Instant::now();
        let deadline = now + Self::DEADLINE;
        let job = Job {
            order: Box::new(order),
            reply,
            claim: claim.clone(),
            queued: now,
            deadline,
            span: Span::current(),
        };
        if !self.queue_limit.admits(self.waiting(), now) {
            return Err(StorageError::QueueFull);
        }
        self.queue.try_send(job).map_err(|_| StorageError::QueueFull)?;

        if self.connected() == 0 {
            match timeout_at(now + Self::UNCONNECTED_DEADLINE, &mut result).await {
                Ok(result) => return result.unwrap_or(Err(StorageError::OutcomeUnknown(None))),
                Err(_) if claim.take() => return Err(self.unavailable()),
                Err(_) => {}
            }
        }
        match timeout_at(deadline + Self::REPLY_GRACE, result).await {
            Ok(result) => result.unwrap_or(Err(StorageError::OutcomeUnknown(None))),
            Err(_) if claim.take() => Err(self.unavailable()),
            Err(_) => Err(StorageError::OutcomeUnknown(None)),
        }
    }

    /// The response that is stored under a key, as safe as the server promises for orders.
    pub async fn stored_response(
        &self,
        client_id: ClientId,
        key: IdempotencyKey,
    ) -> Result<Option<StoredResponse>, StorageError> {
        if self.connected() == 0 {
            return Err(self.unavailable());
        }
        let (reply, response) = oneshot::channel();
        let lookup = Lookup { client_id, key, reply };
        self.lookups.try_send(lookup).map_err(|_| StorageError::QueueFull)?;
        let response = timeout_at(Instant::now() + Self::DEADLINE, response).await;
        response.ok().and_then(Result::ok).ok_or(StorageError::OutcomeUnknown(None))
    }

    fn unavailable(&self) -> StorageError {
        StorageError::Unavailable(self.unusable().map(Into::into))
    }

    /// How many writers have a connection.
    pub fn connected(&self) -> usize {
        self.status.connected()
    }

    /// Why orders cannot be stored in the database that was reached, if so.
    pub fn unusable(&self) -> Option<Unusable> {
        self.status.unusable()
    }

    /// How many orders wait.
    pub fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// How many orders may wait now.
    pub fn queue_limit(&self) -> usize {
        self.queue_limit.orders(Instant::now())
    }
}
