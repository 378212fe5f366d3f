//! The task of one writer: takes what waits, stores it, and replies to every request.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use database::Unusable;
use domain::NewOrder;
use futures_util::FutureExt;
use telemetry::traces;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{Instrument, Span};

use super::batch::{BATCH_BYTES, BATCH_ORDERS, BatchOutcomes};
use super::blocked::BlockedOrders;
use super::connection::{Purpose, WriterConnection};
use super::job::Job;
use super::lookups::Lookups;
use super::queue_limit::QueueLimit;
use super::recovery::Recovery;
use super::status::Status;
use super::turn::WriterTurn;
use crate::StorageError;
use crate::metrics::WriterMetrics;

/// One writer: it has one commit under way at a time.
pub(super) struct WriterTask {
    /// Its number, from 0.
    pub(super) number: usize,
    pub(super) jobs: Arc<Mutex<mpsc::Receiver<Job>>>,
    pub(super) lookups: Lookups,
    /// Orders that were taken from the queue and cannot be stored yet.
    pub(super) blocked: BlockedOrders,
    pub(super) connection: WriterConnection,
    pub(super) turn: WriterTurn,
    pub(super) status: Arc<Status>,
    /// Whether this writer is among those counted as connected.
    pub(super) is_counted: bool,
    pub(super) queue_limit: Arc<QueueLimit>,
    pub(super) metrics: WriterMetrics,
}

/// What a writer does next.
enum Next {
    Batch(Vec<Job>),
    Nothing,
    /// No order can come any more.
    Closed,
}

impl WriterTask {
    const RECEIVE: usize = 32;
    /// Shorter than an order waits for a connection: an order that comes when the database is back is stored.
    const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
    /// Only people change the settings of a pooler.
    const POOLED_PAUSE: Duration = Duration::from_secs(1);
    /// How long a writer without orders goes without checking its connection.
    const IDLE_CHECK: Duration = Duration::from_secs(1);

    pub(super) async fn run(mut self) {
        let mut backlog = VecDeque::new();
        loop {
            if !self.is_ready(&mut backlog).await {
                if self.is_closed() {
                    return;
                }
                continue;
            }
            if self.lookups.receive() {
                let _busy = self.turn.begin();
                self.lookups.reply(&mut self.connection).await;
            }
            if !self.connection.is_connected() {
                continue;
            }
            match self.next_batch(&mut backlog).await {
                Next::Batch(batch) => self.store(batch).await,
                Next::Nothing => {}
                Next::Closed => return,
            }
        }
    }

    /// Connects ahead of the first order, and again after a loss. Without a connection no order is begun, and other
    /// writers take what waits. Returns whether there is a connection.
    async fn is_ready(&mut self, backlog: &mut VecDeque<Job>) -> bool {
        let _busy = (!self.connection.is_trusted()).then(|| self.turn.begin());
        // No other writer can store what this one has taken, and those requests do not wait for long.
        if !self.connection.is_connected() {
            backlog.extend(self.blocked.drain());
            if !backlog.is_empty()
                && let Err(failure) = self.connection.ensure_connected(Purpose::Questions).await
            {
                refuse(backlog.drain(..), &failure);
            }
        }
        let connected = self.connection.ensure_connected(Purpose::Ahead).await;
        self.update_status();
        let Err(failure) = connected else { return true };
        self.refuse_waiting(&failure);
        self.lookups.drop_all();
        let is_pooled = Unusable::of(&failure) == Some(Unusable::Pooled);
        let pause = if is_pooled { Self::POOLED_PAUSE } else { Self::RECONNECT_PAUSE };
        sleep(pause).await; // ok: then it is time to try again; orders do not wait for it
        false
    }

    /// Stores a batch, with everything that is measured about it.
    async fn store(&mut self, batch: Vec<Job>) {
        let now = Instant::now();
        for job in &batch {
            self.metrics.record_wait(now - job.queued);
            traces::set(&job.span, "order.wait.duration", (now - job.queued).as_secs_f64());
        }
        let orders = batch.len();
        let _busy = self.turn.begin();
        self.queue_limit.begin_batch(self.number, now);
        // A batch that panics is not the last: its clients hear that its outcome is unknown.
        if AssertUnwindSafe(self.write(batch)).catch_unwind().await.is_err() {
            self.connection.lose();
        }
        // Before the next attempt to connect, which takes its time.
        self.update_status();
        self.queue_limit.end_batch(self.number, orders, Instant::now());
    }

    /// Keeps the number of connected writers.
    fn update_status(&mut self) {
        let is_connected = self.connection.is_connected();
        if is_connected && !self.is_counted {
            self.status.count_connected();
        } else if !is_connected && self.is_counted {
            self.status.count_disconnected();
        }
        self.is_counted = is_connected;
    }

    /// Tells every waiting request that there is no database, unless another writer has one.
    fn refuse_waiting(&self, failure: &sqlx::Error) {
        // A writer that waits at the queue has a connection.
        let Ok(mut jobs) = self.jobs.try_lock() else { return };
        let waiting = std::iter::from_fn(|| {
            let is_away = self.status.connected() == 0;
            is_away.then(|| jobs.try_recv().ok()).flatten()
        });
        refuse(waiting, failure);
    }

    /// Whether no order can come any more.
    fn is_closed(&self) -> bool {
        self.jobs.try_lock().is_ok_and(|jobs| jobs.is_closed() && jobs.is_empty())
    }

    /// Waits for an order, and takes what else is there.
    async fn next_batch(&mut self, backlog: &mut VecDeque<Job>) -> Next {
        if self.blocked.check_due().is_some_and(|due| due <= Instant::now()) {
            let _busy = self.turn.begin();
            self.blocked.take_back_free(&mut self.connection, backlog).await;
            if !self.connection.is_connected() {
                self.update_status();
                return Next::Nothing;
            }
        }
        if backlog.is_empty() {
            let mut received = Vec::with_capacity(Self::RECEIVE);
            let receiving = async {
                self.turn.wait().await;
                self.jobs.lock().await.recv_many(&mut received, BATCH_ORDERS).await
            };
            let idle_check = Instant::now() + Self::IDLE_CHECK;
            let until = self.blocked.check_due().map_or(idle_check, |due| due.min(idle_check));
            let count = tokio::select! {
                biased;
                count = timeout_at(until, receiving) => count.ok(),
                () = self.lookups.next() => None,
            };
            match count {
                None => return Next::Nothing,
                Some(0) => return Next::Closed,
                Some(_) => backlog.extend(self.blocked.keep_limited(received)),
            }
        }
        let batch = self.take_batch(backlog);
        if batch.is_empty() { Next::Nothing } else { Next::Batch(batch) }
    }

    /// Claims orders of the backlog for one batch.
    fn take_batch(&mut self, backlog: &mut VecDeque<Job>) -> Vec<Job> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let done_at = Instant::now() + self.queue_limit.batch_time();
        while let Some(job) = backlog.pop_front() {
            if self.blocked.block(&job.order) {
                self.blocked.add(job);
                continue;
            }
            bytes += job.order.size_bytes();
            let is_full = bytes > BATCH_BYTES || batch.len() >= BATCH_ORDERS;
            if !batch.is_empty() && is_full {
                backlog.push_front(job);
                break;
            }
            if !job.claim.take() {
                continue;
            }
            if done_at < job.deadline {
                batch.push(job);
            } else {
                // Its client would not hear in time what became of it.
                job.reply(Err(StorageError::QueueFull));
            }
        }
        batch
    }

    /// Stores a batch and replies to every request in it.
    async fn write(&mut self, batch: Vec<Job>) {
        // Parts of the batch still to be stored, each by itself.
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let part = in_time(part);
            if part.is_empty() {
                continue;
            }
            let orders: Vec<&NewOrder> = part.iter().map(|job| &*job.order).collect();
            let started = Instant::now();
            let size = i64::try_from(orders.len()).unwrap_or(i64::MAX);
            let (joint, span) = match &part[..] {
                // An order alone in its batch is written within its own trace.
                [job] if traces::is_kept(&job.span) => {
                    let write = || telemetry::span!("order.write", order.batch.size = size);
                    (None, job.span.in_scope(write))
                }
                _ => {
                    let make = || telemetry::root_span!("order.write", order.batch.size = size);
                    let joint = traces::joint(part.iter().map(|job| &job.span), make);
                    let span = joint.as_ref().map_or_else(Span::none, |joint| joint.span.clone());
                    (joint, span)
                }
            };
            let stored = self.connection.store(&orders).instrument(span.clone()).await;
            let took = started.elapsed();
            self.metrics.record_batch(orders.len(), took, stored.is_ok());
            for job in &part {
                traces::set(&job.span, "order.write.duration", took.as_secs_f64());
            }
            match stored {
                Ok(outcomes) => reply(part, outcomes, &mut parts, &self.metrics),
                Err(failure) => {
                    traces::fail(&span, "not_stored", "");
                    let recovery = Recovery {
                        connection: &mut self.connection,
                        blocked: &mut self.blocked,
                        metrics: &self.metrics,
                        parts: &mut parts,
                    };
                    recovery.recover(part, failure).instrument(span).await;
                }
            }
            if let Some(joint) = joint {
                joint.end();
            }
        }
    }
}

/// Tells the requests that still wait that there is no database.
fn refuse(jobs: impl Iterator<Item = Job>, failure: &sqlx::Error) {
    let mut refused = 0;
    for job in jobs.filter(|job| job.claim.take()) {
        // Of all causes, clients hear only why a database that answers cannot be used.
        job.reply(Err(StorageError::Unavailable(Unusable::of(failure).map(Into::into))));
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

/// Leaves out the orders whose clients no longer wait, and may have ordered again. None of them is stored, and none is
/// tried again.
fn in_time(part: Vec<Job>) -> Vec<Job> {
    let now = Instant::now();
    let (part, late): (Vec<_>, Vec<_>) = part.into_iter().partition(|job| now < job.deadline);
    for job in late {
        let has_key = job.order.idempotency.is_some();
        job.reply(Err(if has_key { StorageError::KeyInProgress } else { StorageError::QueueFull }));
    }
    part
}

/// Replies to all requests at once: a server thread that is woken by the first reply finds the others there already, and
/// need not be woken for each. The memory of the orders is freed after that.
fn reply(part: Vec<Job>, outcomes: BatchOutcomes, parts: &mut Vec<Vec<Job>>, metrics: &WriterMetrics) {
    let mut replied = Vec::with_capacity(part.len());
    for (job, outcome) in part.into_iter().zip(outcomes) {
        match outcome {
            Some(placement) => {
                metrics.record_outcome(&job.order, &placement);
                replied.push(job.reply(Ok(placement)));
            }
            // Its key vanished between two reads of it: it was pruned, or the order that held it was undone. Or a use
            // that it lacked was given back.
            None => parts.push(vec![job]),
        }
    }
}
