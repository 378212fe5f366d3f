//! Orders that need a counter which somebody holds: they wait beside the queue, so that nobody else waits for them.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::super::{NewOrder, RepositoryError};
use super::batch::counter_names;
use super::worker::Writer;
use super::{Job, OrderWriter};

/// Counters that were held at the last look, and orders with limits that wait for the next, the first come first. It tells
/// whose counters are free.
pub(super) struct HeldOrders {
    /// Each with its version, which changes with every use.
    counters: HashMap<String, String>,
    jobs: Vec<Job>,
    /// When to look.
    look_at: Instant,
}

impl HeldOrders {
    /// How long from one look to the next; longer where a look takes longer, so that half of the time is left for others.
    const PAUSE: Duration = Duration::from_millis(20);
    /// The most orders that wait for a counter.
    const MOST: usize = OrderWriter::QUEUE_ORDERS / 4;

    pub(super) fn new() -> Self {
        Self { counters: HashMap::new(), jobs: Vec::new(), look_at: Instant::now() }
    }

    /// When to look; `None` where nobody waits.
    pub(super) fn look_at(&self) -> Option<Instant> {
        (!self.jobs.is_empty()).then_some(self.look_at)
    }

    /// All orders, to be tried like any other.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Job> {
        self.counters.clear();
        self.jobs.drain(..)
    }

    /// As long as a counter is held, lets received orders with limits wait for the next look. The rest.
    pub(super) fn keep(&mut self, received: Vec<Job>) -> Vec<Job> {
        if self.counters.is_empty() {
            return received;
        }
        let (limited, rest): (Vec<_>, Vec<_>) = received.into_iter().partition(|job| job.order.is_limited());
        for job in limited {
            self.add(job);
        }
        rest
    }

    /// Lets an order wait, if no writer is at it.
    pub(super) fn add(&mut self, job: Job) {
        // Those that need something else are few: they wait for the next look only.
        if self.jobs.len() < Self::MOST || !self.concern(&job.order) {
            self.jobs.push(job);
        } else {
            job.answer(Err(RepositoryError::QueueFull));
        }
    }

    /// Whether an order needs a counter that is held.
    pub(super) fn concern(&self, order: &NewOrder) -> bool {
        order.limits().any(|limit| self.counters.contains_key(&limit.counter))
    }
}

impl Writer {
    /// Takes orders out of a part that was not stored: those that need a counter which somebody holds. The rest.
    pub(super) async fn set_held_aside(&mut self, part: Vec<Job>) -> Vec<Job> {
        let orders: Vec<&NewOrder> = part.iter().map(|job| &*job.order).collect();
        self.look(counter_names(&orders)).await;
        let (held, free): (Vec<_>, Vec<_>) = part.into_iter().partition(|job| self.held.concern(&job.order));
        for job in held {
            // As if no writer had taken it: should its client stop waiting, it is certainly not placed.
            job.is_claimed.store(false, Ordering::Release);
            self.held.add(job);
        }
        free
    }

    /// Looks which of the orders that wait can be stored, and puts them in front of the backlog.
    pub(super) async fn take_back_free(&mut self, backlog: &mut VecDeque<Job>) {
        let began = Instant::now();
        let orders: Vec<&NewOrder> = self.held.jobs.iter().map(|job| &*job.order).collect();
        self.look(counter_names(&orders)).await;
        let now = Instant::now();
        self.held.look_at = now + HeldOrders::PAUSE.max(now - began);
        for job in std::mem::take(&mut self.held.jobs).into_iter().rev() {
            if !self.held.concern(&job.order) {
                backlog.push_front(job);
            } else if now < job.deadline {
                self.held.jobs.push(job);
            } else {
                job.answer(Err(RepositoryError::QueueFull));
            }
        }
        self.held.jobs.reverse();
    }

    /// Looks which of these counters, and of those that were held before, are held, and have not been used since the last look:
    /// one that many use is nearly always locked, and soon free for whoever waits. None where that cannot be found out: then the
    /// orders are tried, which tells.
    async fn look(&mut self, mut counters: Vec<String>) {
        let before = std::mem::take(&mut self.held.counters);
        counters.extend(before.keys().take(HeldOrders::MOST).cloned());
        if counters.is_empty() {
            return;
        }
        let mut held = match self.store.held_counters(counters).await {
            Ok(held) => held,
            Err(failure) => {
                let cause = telemetry::causes(&failure, database::words);
                tracing::warn!(cause, "it is not known which counters of promotions are held");
                return;
            }
        };
        held.retain(|counter, version| before.get(counter).is_none_or(|seen| seen == version));
        self.held.counters = held;
        match (!before.is_empty(), self.held.counters.keys().min()) {
            (false, Some(counter)) => tracing::warn!(
                counter,
                "somebody holds a counter of a promotion: orders that need it wait, others do not"
            ),
            (true, None) => tracing::info!("the counters of promotions are free again"),
            (true, Some(_)) | (false, None) => {}
        }
    }
}
