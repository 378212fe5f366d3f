//! The order writer: orders that arrive while a commit is under way share the next one.
//!
//! A lone order is written at once. Under load a batch is whatever arrived during the last commit, within bounds; one
//! statement and one commit store all of it. Every order is decided by itself: a used key, a limit that is reached or a
//! row that the database refuses concerns that order and none of its neighbours.
//!
//! An order is acknowledged only after its commit. Ids are fixed before the first attempt, so that after a commit
//! whose outcome was not heard the database can be asked which orders it has; only the others are tried again.

mod batch;
mod postgres;
mod room;
mod sqlite;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use database::DatabaseUrl;
use telemetry::traces;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{Instrument, Span};

use super::{NewOrder, OrderPlacement, RepositoryError};
use crate::metrics::WriterMetrics;
use batch::{Outcomes, Store};
use room::Room;

/// Takes orders to be stored. Cloning gives another handle to the same queue.
#[derive(Clone)]
pub struct OrderWriter {
    queue: mpsc::Sender<Job>,
    /// How many writers have a connection.
    connected: Arc<AtomicUsize>,
    /// How many orders may wait now.
    room: Arc<Room>,
}

/// One order on its way, and who waits for it.
pub(super) struct Job {
    order: Box<NewOrder>,
    reply: oneshot::Sender<Outcome>,
    /// Set once, by the writer that takes the order or by the request that stops waiting for it to be taken: whoever
    /// comes first decides whether it is written.
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
        let connected = Arc::new(AtomicUsize::new(0));
        let writers = if url.sqlite_file().is_some() { 1 } else { writers };
        let room = Arc::new(Room::new(writers));
        // Odd while a batch of the first writer is under way.
        let (batches, _) = watch::channel(0);
        let mut place = Place::First(batches.clone());
        for number in 0..writers {
            let (store, connected) = (Store::new(url.clone()), connected.clone());
            let (jobs, room, metrics) = (jobs.clone(), room.clone(), metrics.clone());
            let writer = Writer { number, jobs, store, place, connected, is_counted: false, room, metrics };
            tokio::spawn(writer.run());
            place = Place::Second(batches.subscribe());
        }
        Self { queue, connected, room }
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
                    return Err(RepositoryError::Unavailable(None));
                }
                Err(_) => {}
            }
        }
        match timeout_at(deadline + Duration::from_millis(100), outcome).await {
            Ok(answer) => answer.unwrap_or(Err(RepositoryError::OutcomeUnknown(None))),
            Err(_) if !is_claimed.swap(true, Ordering::AcqRel) => Err(RepositoryError::Unavailable(None)),
            Err(_) => Err(RepositoryError::OutcomeUnknown(None)),
        }
    }
}

impl OrderWriter {
    /// How many writers have a connection.
    pub fn connected(&self) -> usize {
        self.connected.load(Ordering::Relaxed)
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

/// Who writes when.
enum Place {
    /// Whenever there is something to write.
    First(watch::Sender<u64>),
    /// When a batch of the first takes long.
    Second(watch::Receiver<u64>),
}

impl Place {
    /// How long a batch of the first writer may take before others help.
    const PATIENCE: Duration = Duration::from_millis(4);

    /// Waits until it is this one's turn.
    async fn wait_for_turn(&mut self) {
        let Self::Second(batches) = self else { return };
        // The first one never ends before the others do.
        while let Ok(batch) = batches.wait_for(|batch| batch % 2 == 1).await.map(|batch| *batch) {
            if timeout(Self::PATIENCE, batches.wait_for(|now| *now != batch)).await.is_err() {
                return;
            }
        }
    }

    /// Notes that a batch begins or ends.
    fn note(&self) {
        if let Self::First(batches) = self {
            batches.send_modify(|batch| *batch += 1);
        }
    }
}

/// One commit at a time.
struct Writer {
    /// Which of them, from 0.
    number: usize,
    jobs: Arc<Mutex<mpsc::Receiver<Job>>>,
    store: Store,
    place: Place,
    connected: Arc<AtomicUsize>,
    /// Whether this writer is among those counted as connected.
    is_counted: bool,
    room: Arc<Room>,
    metrics: WriterMetrics,
}

impl Writer {
    async fn run(mut self) {
        let mut backlog = VecDeque::new();
        loop {
            // Connects ahead of the first order, and again after a loss. Without a connection no order is begun, and others
            // take what waits.
            let is_away = !self.store.is_trusted();
            if is_away {
                self.place.note();
            }
            let connected = self.store.connect_ahead().await;
            self.count();
            if let Err(failure) = &connected {
                if self.refuse_all(failure, &mut backlog) {
                    return;
                }
                sleep(Self::RECONNECT_PAUSE).await; // ok: then it is time to try again; orders do not wait for it
            }
            if is_away {
                self.place.note();
            }
            if connected.is_err() {
                continue;
            }
            match self.next_batch(&mut backlog).await {
                Some(batch) if batch.is_empty() => {}
                Some(batch) => {
                    let now = Instant::now();
                    for job in &batch {
                        self.metrics.note_wait(now - job.queued);
                    }
                    let orders = batch.len();
                    self.place.note();
                    self.room.begin_batch(self.number, now);
                    self.write(batch).await;
                    // Before the next attempt to connect, which takes its time.
                    self.count();
                    self.room.end_batch(self.number, orders, Instant::now());
                    self.place.note();
                }
                None => return,
            }
        }
    }

    /// Keeps the number of connected writers.
    fn count(&mut self) {
        let is_connected = self.store.is_connected();
        if is_connected && !self.is_counted {
            self.connected.fetch_add(1, Ordering::Relaxed);
        } else if !is_connected && self.is_counted {
            self.connected.fetch_sub(1, Ordering::Relaxed);
        }
        self.is_counted = is_connected;
    }

    /// Tells everyone who waits that there is no database, where no other writer has one. Whether nobody can send any
    /// more.
    fn refuse_all(&self, failure: &sqlx::Error, backlog: &mut VecDeque<Job>) -> bool {
        // Who has the queue has a connection.
        let Ok(mut jobs) = self.jobs.try_lock() else { return false };
        let mut refused = 0;
        while self.connected.load(Ordering::Relaxed) == 0
            && let Some(job) = backlog.pop_front().or_else(|| jobs.try_recv().ok())
        {
            if !job.is_claimed.swap(true, Ordering::AcqRel) {
                job.answer(Err(RepositoryError::Unavailable(None)));
                refused += 1;
            }
        }
        if refused > 0 {
            tracing::warn!(
                orders = refused,
                cause = telemetry::causes(failure),
                "the order writer has no database"
            );
        }
        jobs.is_closed() && jobs.is_empty()
    }

    /// Waits for an order, and takes what else is there. `None` when nobody can send any more.
    async fn next_batch(&mut self, backlog: &mut VecDeque<Job>) -> Option<Vec<Job>> {
        if backlog.is_empty() {
            let mut received = Vec::with_capacity(Self::RECEIVE);
            let wait = async {
                self.place.wait_for_turn().await;
                self.jobs.lock().await.recv_many(&mut received, OrderWriter::BATCH_ORDERS).await
            };
            if wait.await == 0 {
                return None;
            }
            backlog.extend(received);
        }
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let done_at = Instant::now() + self.room.batch_time();
        while let Some(job) = backlog.pop_front() {
            bytes += job.order.size_bytes();
            if !batch.is_empty() && bytes > OrderWriter::BATCH_BYTES {
                backlog.push_front(job);
                break;
            }
            if job.is_claimed.swap(true, Ordering::AcqRel) {
                continue;
            }
            if done_at < job.deadline {
                batch.push(job);
            } else {
                // Its client would not hear in time what became of it.
                job.answer(Err(RepositoryError::QueueFull));
            }
        }
        Some(batch)
    }

    const RECEIVE: usize = 32;
    /// Shorter than an order waits for a connection: who comes when the database is there again is served.
    const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

    /// Stores a batch and answers everyone in it.
    async fn write(&mut self, batch: Vec<Job>) {
        // Parts of the batch still to be stored, each by itself.
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let part = Self::in_time(part);
            if part.is_empty() {
                continue;
            }
            let orders: Vec<&NewOrder> = part.iter().map(|job| &*job.order).collect();
            let started = Instant::now();
            let batch = traces::joint(part.iter().map(|job| &job.span), || {
                telemetry::root_span!("order.write", order.batch.size = orders.len())
            });
            let span = batch.as_ref().map_or_else(Span::none, |batch| batch.span.clone());
            let stored = self.store.store(&orders).instrument(span.clone()).await;
            self.metrics.note_batch(orders.len(), started.elapsed(), stored.is_ok());
            match stored {
                Ok(outcomes) => Self::answer(part, outcomes, &mut parts, &self.metrics),
                Err(failure) => {
                    traces::fail(&span, "not_stored", "");
                    self.recover(part, failure, &mut parts).instrument(span).await;
                }
            }
            if let Some(batch) = batch {
                batch.end();
            }
        }
    }

    /// Leaves out those whose clients do not wait any more: they may have ordered again.
    fn in_time(part: Vec<Job>) -> Vec<Job> {
        let now = Instant::now();
        let (part, late): (Vec<_>, Vec<_>) = part.into_iter().partition(|job| now < job.deadline);
        for job in late {
            let has_key = job.order.idempotency.is_some();
            job.answer(Err(if has_key {
                RepositoryError::KeyInProgress
            } else {
                RepositoryError::OutcomeUnknown(None)
            }));
        }
        part
    }

    /// Tells everyone at once: a server thread that is woken by the first answer finds the others there already, and
    /// need not be woken for each. What else an answered order holds is given back after that.
    fn answer(part: Vec<Job>, outcomes: Outcomes, parts: &mut Vec<Vec<Job>>, metrics: &WriterMetrics) {
        let mut answered = Vec::with_capacity(part.len());
        for (job, outcome) in part.into_iter().zip(outcomes) {
            match outcome {
                Some(placement) => {
                    metrics.note_outcome(&job.order, &placement);
                    answered.push(job.answer(Ok(placement)));
                }
                // Its key vanished between two looks at it: pruned, or the order that held it was undone; or a use that
                // it lacked was given back.
                None if Instant::now() < job.deadline => parts.push(vec![job]),
                None => answered.push(job.answer(Err(RepositoryError::KeyInProgress))),
            }
        }
    }

    /// Decides what becomes of a part that could not be stored.
    async fn recover(&mut self, part: Vec<Job>, failure: sqlx::Error, parts: &mut Vec<Vec<Job>>) {
        let cause = telemetry::causes(&failure);
        if !database::is_certainly_not_done(&failure) {
            tracing::warn!(
                orders = part.len(),
                cause,
                "a commit's outcome is unknown; asking which orders are there"
            );
            self.ask(part, parts).await;
        } else if database::is_unavailable(&failure) {
            tracing::warn!(orders = part.len(), cause, "orders could not be stored");
            for job in part {
                job.answer(Err(RepositoryError::Unavailable(None)));
            }
        } else if part.len() > 1 {
            // Something in it is refused, or waits for somebody. What need not wait, most likely, goes first: limits are
            // held often, keys seldom.
            let differs = |class: &fn(&NewOrder) -> bool| {
                let with = part.iter().filter(|job| class(&job.order)).count();
                with > 0 && with < part.len()
            };
            let classes: [fn(&NewOrder) -> bool; 2] = [NewOrder::is_limited, NewOrder::takes_locks];
            let (rest, free) = if let Some(class) = classes.into_iter().find(differs) {
                part.into_iter().partition(|job| class(&job.order))
            } else {
                let mut rest = part;
                let free = rest.split_off(rest.len() / 2);
                (rest, free)
            };
            parts.extend([rest, free]);
        } else {
            for job in part {
                if database::is_lock_timeout(&failure) && Instant::now() < job.deadline {
                    parts.insert(0, vec![job]);
                } else if database::is_lock_timeout(&failure) {
                    let has_key = job.order.idempotency.is_some();
                    job.answer(Err(if has_key {
                        RepositoryError::KeyInProgress
                    } else {
                        RepositoryError::QueueFull
                    }));
                } else {
                    tracing::error!(order = %job.order.order.id, cause, "an order was refused by the database");
                    job.answer(Err(RepositoryError::Refused));
                }
            }
        }
    }

    /// Acknowledges what is there after all and tries the rest again. A database that cannot be asked soon is away:
    /// who waits is told that the outcome is unknown, and its key tells later.
    async fn ask(&mut self, part: Vec<Job>, parts: &mut Vec<Vec<Job>>) {
        let deadline = Instant::now() + Self::ASK_DEADLINE;
        loop {
            let ids: Vec<_> = part.iter().map(|job| job.order.order.id.uuid()).collect();
            let asked =
                timeout(deadline.saturating_duration_since(Instant::now()), self.store.stored_ids(&ids))
                    .await;
            match asked {
                Ok(Ok(stored)) => {
                    let (there, missing): (Vec<_>, Vec<_>) =
                        part.into_iter().partition(|job| stored.contains(&job.order.order.id.uuid()));
                    for job in there {
                        self.metrics.note_outcome(&job.order, &OrderPlacement::Stored);
                        job.answer(Ok(OrderPlacement::Stored));
                    }
                    let now = Instant::now();
                    let (again, late): (Vec<_>, Vec<_>) =
                        missing.into_iter().partition(|job| now < job.deadline);
                    // Not there yet: SQLite may still be at it, whose statements nobody ends.
                    for job in late {
                        job.answer(Err(RepositoryError::OutcomeUnknown(None)));
                    }
                    if !again.is_empty() {
                        parts.push(again);
                    }
                    return;
                }
                Ok(Err(_)) if Instant::now() + Self::ASK_PAUSE < deadline => {
                    sleep(Self::ASK_PAUSE).await; // ok: asks again until the deadline
                }
                _ => {
                    for job in part {
                        job.answer(Err(RepositoryError::OutcomeUnknown(None)));
                    }
                    return;
                }
            }
        }
    }

    const ASK_DEADLINE: Duration = Duration::from_millis(200);
    const ASK_PAUSE: Duration = Duration::from_millis(50);
}
