//! A writer: takes what waits, stores it, and answers everyone.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use database::Unusable;
use futures_util::FutureExt;
use telemetry::traces;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{Instrument, Span};

use super::super::{NewOrder, RepositoryError};
use super::batch::Outcomes;
use super::connection::Store;
use super::held::HeldOrders;
use super::lookups::Lookups;
use super::room::Room;
use super::status::Status;
use super::turn::Turn;
use super::{Job, OrderWriter};
use crate::metrics::WriterMetrics;

/// One commit at a time.
pub(super) struct Writer {
    /// Which of them, from 0.
    pub(super) number: usize,
    pub(super) jobs: Arc<Mutex<mpsc::Receiver<Job>>>,
    pub(super) lookups: Lookups,
    /// Taken from the queue, and not to be begun yet.
    pub(super) held: HeldOrders,
    pub(super) store: Store,
    pub(super) turn: Turn,
    pub(super) status: Arc<Status>,
    /// Whether this writer is among those counted as connected.
    pub(super) is_counted: bool,
    pub(super) room: Arc<Room>,
    pub(super) metrics: WriterMetrics,
}

impl Writer {
    pub(super) async fn run(mut self) {
        let mut backlog = VecDeque::new();
        loop {
            // Connects ahead of the first order, and again after a loss. Without a connection no order is begun, and others
            // take what waits.
            let is_away = !self.store.is_trusted();
            if is_away {
                self.turn.note();
            }
            // No other writer can store what this one has taken, and who ordered that does not wait for long.
            if !self.store.is_connected() {
                backlog.extend(self.held.drain());
                if !backlog.is_empty()
                    && let Err(failure) = self.store.reconnect().await
                {
                    Self::refuse(backlog.drain(..), &failure);
                }
            }
            let connected = self.store.connect_ahead().await;
            self.count();
            if let Err(failure) = &connected {
                if self.refuse_all(failure) {
                    return;
                }
                let is_pooled = Unusable::of(failure) == Some(Unusable::Pooled);
                let pause = if is_pooled { Self::POOLED_PAUSE } else { Self::RECONNECT_PAUSE };
                sleep(pause).await; // ok: then it is time to try again; orders do not wait for it
            }
            if is_away {
                self.turn.note();
            }
            if connected.is_err() {
                self.lookups.take();
                continue;
            }
            self.look_up().await;
            if !self.store.is_connected() {
                continue;
            }
            match self.next_batch(&mut backlog).await {
                Some(batch) if batch.is_empty() => {}
                Some(batch) => {
                    let now = Instant::now();
                    for job in &batch {
                        self.metrics.note_wait(now - job.queued);
                        traces::set(&job.span, "order.wait.duration", (now - job.queued).as_secs_f64());
                    }
                    let orders = batch.len();
                    self.turn.note();
                    self.room.begin_batch(self.number, now);
                    // A batch that goes wrong is not the last: its clients hear that its outcome is unknown.
                    if AssertUnwindSafe(self.write(batch)).catch_unwind().await.is_err() {
                        self.store.lose();
                    }
                    // Before the next attempt to connect, which takes its time.
                    self.count();
                    self.room.end_batch(self.number, orders, Instant::now());
                    self.turn.note();
                }
                None => return,
            }
        }
    }

    /// Keeps the number of connected writers.
    fn count(&mut self) {
        let is_connected = self.store.is_connected();
        if is_connected && !self.is_counted {
            self.status.count_connected();
        } else if !is_connected && self.is_counted {
            self.status.count_disconnected();
        }
        self.is_counted = is_connected;
    }

    /// Tells everyone who waits that there is no database, where no other writer has one. Whether nobody can send any
    /// more.
    fn refuse_all(&self, failure: &sqlx::Error) -> bool {
        // Who has the queue has a connection.
        let Ok(mut jobs) = self.jobs.try_lock() else { return false };
        let waiting = std::iter::from_fn(|| {
            let is_away = self.status.connected() == 0;
            is_away.then(|| jobs.try_recv().ok()).flatten()
        });
        Self::refuse(waiting, failure);
        jobs.is_closed() && jobs.is_empty()
    }

    /// Tells those who still wait that there is no database.
    fn refuse(jobs: impl Iterator<Item = Job>, failure: &sqlx::Error) {
        let mut refused = 0;
        for job in jobs.filter(|job| !job.is_claimed.swap(true, Ordering::AcqRel)) {
            job.answer(Err(Self::unavailable(failure)));
            refused += 1;
        }
        if refused > 0 {
            tracing::warn!(
                orders = refused,
                cause = telemetry::causes(failure, database::words),
                "the order writer has no database"
            );
        }
    }

    /// Tells clients why a database that answers takes no orders, and of all else nothing.
    pub(super) fn unavailable(failure: &sqlx::Error) -> RepositoryError {
        RepositoryError::Unavailable(Unusable::of(failure).map(Into::into))
    }

    /// Waits for an order, and takes what else is there. `None` when nobody can send any more.
    async fn next_batch(&mut self, backlog: &mut VecDeque<Job>) -> Option<Vec<Job>> {
        if self.held.look_at().is_some_and(|at| at <= Instant::now()) {
            self.turn.note();
            self.take_back_free(backlog).await;
            self.turn.note();
            if !self.store.is_connected() {
                self.count();
                return Some(Vec::new());
            }
        }
        if backlog.is_empty() {
            let mut received = Vec::with_capacity(Self::RECEIVE);
            let wait = async {
                self.turn.wait().await;
                self.jobs.lock().await.recv_many(&mut received, OrderWriter::BATCH_ORDERS).await
            };
            let wait_or_look = async {
                let idle_look = Instant::now() + Self::IDLE_LOOK;
                let at = self.held.look_at().map_or(idle_look, |at| at.min(idle_look));
                timeout_at(at, wait).await.ok()
            };
            let count = tokio::select! {
                biased;
                count = wait_or_look => count,
                () = self.lookups.next() => None,
            };
            let Some(count) = count else { return Some(Vec::new()) };
            if count == 0 {
                return None;
            }
            backlog.extend(self.held.keep(received));
        }
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let done_at = Instant::now() + self.room.batch_time();
        while let Some(job) = backlog.pop_front() {
            if self.held.concern(&job.order) {
                self.held.add(job);
                continue;
            }
            bytes += job.order.size_bytes();
            let is_full = bytes > OrderWriter::BATCH_BYTES || batch.len() >= OrderWriter::BATCH_ORDERS;
            if !batch.is_empty() && is_full {
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
    /// A pooler is set up otherwise by people only.
    const POOLED_PAUSE: Duration = Duration::from_secs(1);
    /// How long a writer without orders goes without a look at what it is connected to.
    const IDLE_LOOK: Duration = Duration::from_secs(1);

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
            let size = i64::try_from(orders.len()).unwrap_or(i64::MAX);
            let (batch, span) = match &part[..] {
                // One alone is written within its own trace.
                [job] if traces::is_kept(&job.span) => {
                    let write = || telemetry::span!("order.write", order.batch.size = size);
                    (None, job.span.in_scope(write))
                }
                _ => {
                    let make = || telemetry::root_span!("order.write", order.batch.size = size);
                    let batch = traces::joint(part.iter().map(|job| &job.span), make);
                    let span = batch.as_ref().map_or_else(Span::none, |batch| batch.span.clone());
                    (batch, span)
                }
            };
            let stored = self.store.store(&orders).instrument(span.clone()).await;
            let took = started.elapsed();
            self.metrics.note_batch(orders.len(), took, stored.is_ok());
            for job in &part {
                traces::set(&job.span, "order.write.duration", took.as_secs_f64());
            }
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

    /// Leaves out those whose clients do not wait any more, and may have ordered again. None of them is stored: of what may
    /// still come, nobody makes another attempt.
    fn in_time(part: Vec<Job>) -> Vec<Job> {
        let now = Instant::now();
        let (part, late): (Vec<_>, Vec<_>) = part.into_iter().partition(|job| now < job.deadline);
        for job in late {
            let has_key = job.order.idempotency.is_some();
            job.answer(Err(if has_key {
                RepositoryError::KeyInProgress
            } else {
                RepositoryError::QueueFull
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
                None => parts.push(vec![job]),
            }
        }
    }
}
