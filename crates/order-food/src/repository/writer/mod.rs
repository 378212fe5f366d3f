//! The order writer: orders that arrive while a commit is under way share the next one.
//!
//! A lone order is written at once. Under load a batch is whatever arrived during the last commit, within bounds; one
//! statement and one commit store all of it. Every order is decided by itself: a used key, a limit that is reached or a
//! row that the database refuses concerns that order and none of its neighbours.
//!
//! An order is acknowledged only after its commit. Ids are fixed before the first attempt, so that after a commit
//! whose outcome was not heard the database can be asked which orders it has; only the others are tried again.

mod batch;
mod connection;
mod held;
mod lookups;
mod open_file;
mod postgres;
mod recovery;
mod room;
mod sqlite;
mod status;
mod turn;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use database::{DatabaseUrl, Unusable};
use domain::{ClientId, IdempotencyKey};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};
use tracing::Span;

use super::{NewOrder, OrderPlacement, RepositoryError, StoredAnswer};
use crate::metrics::WriterMetrics;
use connection::Store;
use held::HeldOrders;
use lookups::{Lookup, Lookups};
use room::Room;
use status::Status;
use turn::Turn;
use worker::Writer;

/// Takes orders to be stored. Cloning gives another handle to the same queue.
#[derive(Clone)]
pub struct OrderWriter {
    queue: mpsc::Sender<Job>,
    lookups: mpsc::Sender<Lookup>,
    status: Arc<Status>,
    /// How many orders may wait now.
    room: Arc<Room>,
}

/// One order on its way, and who waits for it.
pub(super) struct Job {
    order: Box<NewOrder>,
    reply: oneshot::Sender<Outcome>,
    /// Set by the writer that takes the order or by the request that stops waiting for it to be taken: whoever comes first
    /// decides whether it is written. A writer that sets the order aside gives it back.
    is_claimed: Arc<AtomicBool>,
    /// When it was put into the queue.
    queued: Instant,
    deadline: Instant,
    /// What the order's request is inside of.
    span: Span,
}

pub(super) type Outcome = Result<OrderPlacement, RepositoryError>;

impl OrderWriter {
    /// The most orders that wait. More are refused at once: whoever waits behind so many is not served in time.
    const QUEUE_ORDERS: usize = 4096;
    /// The most orders in one commit.
    const BATCH_ORDERS: usize = 256;
    /// The most bytes of orders in one commit; one order is at most some 100 KiB.
    const BATCH_BYTES: usize = 4 * 1024 * 1024;
    /// How long an order may take altogether.
    const DEADLINE: Duration = Duration::from_millis(1600);
    /// How long an order waits for a writer that has no connection.
    const UNCONNECTED_DEADLINE: Duration = Duration::from_millis(150);

    /// Starts as many writers as commits make sense at the same time: SQLite has one, PostgreSQL `writers`. One of them
    /// does all the work as long as it can: the fewer commits, the less each order costs. Where a commit takes long, be
    /// it the disk's doing or that of a key that somebody holds, the others take what waits behind it.
    pub fn start(url: &DatabaseUrl, writers: usize, metrics: &WriterMetrics) -> Self {
        let (queue, jobs) = mpsc::channel(Self::QUEUE_ORDERS);
        let jobs = Arc::new(Mutex::new(jobs));
        let (lookups, asked) = mpsc::channel(Self::QUEUE_ORDERS);
        let mut asked = Some(asked);
        let status = Arc::new(Status::default());
        let writers = if url.sqlite_file().is_some() { 1 } else { writers };
        let room = Arc::new(Room::new(writers));
        // Odd while a batch of the first writer is under way.
        let (batches, _) = watch::channel(0);
        let mut turn = Turn::First(batches.clone());
        for number in 0..writers {
            let (store, status) = (Store::new(url.clone(), status.clone()), status.clone());
            let (jobs, room, metrics) = (jobs.clone(), room.clone(), metrics.clone());
            let held = HeldOrders::new();
            let own_lookups = Lookups::new(asked.take());
            let is_counted = false;
            let writer = Writer {
                number,
                jobs,
                lookups: own_lookups,
                held,
                store,
                turn,
                status,
                is_counted,
                room,
                metrics,
            };
            tokio::spawn(writer.run());
            turn = Turn::Second(batches.subscribe());
        }
        Self { queue, lookups, status, room }
    }

    /// Stores an order, with its key and its redemption, or says why not. `Ok(Stored)` means that it is durable.
    pub async fn place(&self, order: NewOrder) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        let is_claimed = Arc::new(AtomicBool::new(false));
        let now = Instant::now();
        let deadline = now + Self::DEADLINE;
        let job = Job {
            order: Box::new(order),
            reply,
            is_claimed: is_claimed.clone(),
            queued: now,
            deadline,
            span: Span::current(),
        };
        if !self.room.admits(self.waiting(), now) {
            return Err(RepositoryError::QueueFull);
        }
        self.queue.try_send(job).map_err(|_| RepositoryError::QueueFull)?;

        let mut outcome = outcome;
        if self.connected() == 0 {
            let patience = timeout_at(now + Self::UNCONNECTED_DEADLINE, &mut outcome).await;
            match patience {
                Ok(answer) => return answer.unwrap_or(Err(RepositoryError::OutcomeUnknown(None))),
                Err(_) if !is_claimed.swap(true, Ordering::AcqRel) => {
                    return Err(self.unavailable());
                }
                Err(_) => {}
            }
        }
        match timeout_at(deadline + Duration::from_millis(100), outcome).await {
            Ok(answer) => answer.unwrap_or(Err(RepositoryError::OutcomeUnknown(None))),
            Err(_) if !is_claimed.swap(true, Ordering::AcqRel) => Err(self.unavailable()),
            Err(_) => Err(RepositoryError::OutcomeUnknown(None)),
        }
    }

    /// The answer that is stored under a key, as safe as the server promises for orders.
    pub async fn answer(
        &self,
        client_id: ClientId,
        key: IdempotencyKey,
    ) -> Result<Option<StoredAnswer>, RepositoryError> {
        if self.connected() == 0 {
            return Err(self.unavailable());
        }
        let (reply, answer) = oneshot::channel();
        let lookup = Lookup { client_id, key, reply };
        self.lookups.try_send(lookup).map_err(|_| RepositoryError::QueueFull)?;
        let answer = timeout_at(Instant::now() + Self::DEADLINE, answer).await;
        answer.ok().and_then(Result::ok).ok_or(RepositoryError::OutcomeUnknown(None))
    }

    fn unavailable(&self) -> RepositoryError {
        RepositoryError::Unavailable(self.unusable().map(Into::into))
    }
}

impl OrderWriter {
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
    pub fn room(&self) -> usize {
        self.room.orders(Instant::now())
    }
}

impl Job {
    /// Gives back the order, which nobody needs any more.
    fn answer(self, outcome: Outcome) -> Box<NewOrder> {
        // Whoever stopped waiting does not need to know.
        let _ = self.reply.send(outcome);
        self.order
    }
}
