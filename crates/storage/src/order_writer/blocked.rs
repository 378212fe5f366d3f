//! Orders that need a counter which another session holds: they wait beside the queue, so that no other order waits for
//! them.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use domain::NewOrder;
use tokio::time::Instant;

use super::batch::counter_names;
use super::connection::WriterConnection;
use super::job::Job;
use super::queue_limit::QUEUE_ORDERS;
use crate::StorageError;

/// The counters that were held at the last check, and the orders that wait for the next one, in the order they came.
pub(super) struct BlockedOrders {
    /// Each counter with its version, which changes with every use.
    counters: HashMap<String, String>,
    jobs: Vec<Job>,
    check_due: Instant,
}

impl BlockedOrders {
    /// How long from one check to the next. It is longer where a check takes longer, so that half of the time is left
    /// for other orders.
    const PAUSE: Duration = Duration::from_millis(20);
    /// The most orders that wait for a counter.
    const MOST: usize = QUEUE_ORDERS / 4;

    pub(super) fn new() -> Self {
        Self { counters: HashMap::new(), jobs: Vec::new(), check_due: Instant::now() }
    }

    /// When to check; `None` if no order waits.
    pub(super) fn check_due(&self) -> Option<Instant> {
        (!self.jobs.is_empty()).then_some(self.check_due)
    }

    /// All orders, to be tried like any other.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Job> {
        self.counters.clear();
        self.jobs.drain(..)
    }

    /// While a counter is held, lets received orders that need any counter wait for the next check. Returns the others.
    pub(super) fn keep_limited(&mut self, received: Vec<Job>) -> Vec<Job> {
        if self.counters.is_empty() {
            return received;
        }
        let (limited, rest): (Vec<_>, Vec<_>) = received.into_iter().partition(|job| job.order.is_limited());
        for job in limited {
            self.add(job);
        }
        rest
    }

    /// Lets an order that no writer has claimed wait.
    pub(super) fn add(&mut self, job: Job) {
        // Orders that need another counter are few: they wait for the next check only.
        if self.jobs.len() < Self::MOST || !self.block(&job.order) {
            self.jobs.push(job);
        } else {
            job.reply(Err(StorageError::QueueFull));
        }
    }

    /// Whether the order needs a counter that is held.
    pub(super) fn block(&self, order: &NewOrder) -> bool {
        order.uses.iter().any(|wanted| self.counters.contains_key(&wanted.counter))
    }

    /// Takes the orders that need a held counter out of a part that was not stored. Returns the others.
    pub(super) async fn set_aside(&mut self, connection: &mut WriterConnection, part: Vec<Job>) -> Vec<Job> {
        let orders: Vec<&NewOrder> = part.iter().map(|job| &*job.order).collect();
        self.check(connection, counter_names(&orders)).await;
        let (blocked, free): (Vec<_>, Vec<_>) = part.into_iter().partition(|job| self.block(&job.order));
        for job in blocked {
            // As if no writer had taken it: if its request stops waiting, the order is certainly not placed.
            job.claim.give_back();
            self.add(job);
        }
        free
    }

    /// Checks which of the orders can be stored, and puts those in front of the backlog.
    pub(super) async fn take_back_free(
        &mut self,
        connection: &mut WriterConnection,
        backlog: &mut VecDeque<Job>,
    ) {
        let began = Instant::now();
        let orders: Vec<&NewOrder> = self.jobs.iter().map(|job| &*job.order).collect();
        self.check(connection, counter_names(&orders)).await;
        let now = Instant::now();
        self.check_due = now + Self::PAUSE.max(now - began);
        for job in std::mem::take(&mut self.jobs).into_iter().rev() {
            if !self.block(&job.order) {
                backlog.push_front(job);
            } else if now < job.deadline {
                self.jobs.push(job);
            } else {
                job.reply(Err(StorageError::QueueFull));
            }
        }
        self.jobs.reverse();
    }

    /// Finds out which of these counters, and of those that were held before, are held and have not been used since the
    /// last check. A counter that many orders use is nearly always locked, and soon free for the next of them. If it
    /// cannot be found out, no counter counts as held: then the orders are tried.
    async fn check(&mut self, connection: &mut WriterConnection, mut counters: Vec<String>) {
        let before = std::mem::take(&mut self.counters);
        counters.extend(before.keys().take(Self::MOST).cloned());
        if counters.is_empty() {
            return;
        }
        let mut held = match connection.held_counters(counters).await {
            Ok(held) => held,
            Err(failure) => {
                let cause = telemetry::causes(&failure, database::words);
                tracing::warn!(cause, "it is not known which counters of promotions are held");
                return;
            }
        };
        held.retain(|counter, version| before.get(counter).is_none_or(|seen| seen == version));
        self.counters = held;
        match (!before.is_empty(), self.counters.keys().min()) {
            (false, Some(counter)) => tracing::warn!(
                counter,
                "another session holds a counter of a promotion: orders that need it wait, others do not"
            ),
            (true, None) => tracing::info!("the counters of promotions are free again"),
            (true, Some(_)) | (false, None) => {}
        }
    }
}
