//! How many orders may wait: no more than will be stored before their clients are told that it took too long.

#![expect(
    clippy::cast_precision_loss,
    reason = "numbers of orders, and times of batches in microseconds: far below 2^52"
)]

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::batch::BATCH_ORDERS;

/// The most orders that wait. More are refused at once: an order behind so many is not stored in time.
pub(super) const QUEUE_ORDERS: usize = 4096;

/// Room in the queue, by how fast orders are stored.
///
/// In overload the queue is what the next batch is made of, so a short queue also keeps batches short: each is done well
/// before the deadline of its orders, also where it has to go to the database several times.
pub(super) struct QueueLimit {
    started: Instant,
    /// Of each writer, when its batch under way began: microseconds since `started`; 0 where there is none.
    batches: Vec<AtomicU64>,
    /// How fast batches were done lately.
    speed: Mutex<Speed>,
    /// How many may wait, going by that.
    orders: AtomicUsize,
    /// Whether somebody was refused since the last batch.
    has_refused: AtomicBool,
    /// How long the last batch took.
    batch_micros: AtomicU64,
}

/// Orders that were stored, and the time that this took, both the less the longer ago: one slow batch among fast ones, as
/// when the disk has something else to do, does not make the database slow.
#[derive(Default)]
struct Speed {
    orders: f64,
    micros: f64,
}

impl Speed {
    /// After so much more time at work, what was before counts for a third.
    const MEMORY_MICROS: f64 = 200_000.0;

    /// Adds a batch. How many orders a microsecond it makes.
    fn add(&mut self, orders: f64, micros: f64) -> f64 {
        self.fade(micros);
        self.orders += orders;
        self.micros += micros;
        self.orders / self.micros
    }

    /// Takes away from what was before a batch that says nothing.
    fn fade(&mut self, micros: f64) {
        let kept = (-micros / Self::MEMORY_MICROS).exp();
        self.orders *= kept;
        self.micros *= kept;
    }
}

impl QueueLimit {
    /// How long an order may wait for its batch.
    const WAIT_MICROS: f64 = 150_000.0;
    /// From so long on a batch under way is no hitch, but tells how slow the database is.
    const LONG_MICROS: u64 = 300_000;
    /// The fewest that may wait, however slow the database is: where a commit takes the same time whatever is in it, more
    /// orders a commit are all that helps.
    const FEWEST: usize = BATCH_ORDERS / 4;
    /// The most that is taken for the time of the next batch: the database may be faster again by then.
    const LONGEST: Duration = Duration::from_millis(500);

    pub(super) fn new(writers: usize) -> Self {
        Self {
            started: Instant::now(),
            batches: (0..writers).map(|_| AtomicU64::new(0)).collect(),
            speed: Mutex::default(),
            orders: AtomicUsize::new(QUEUE_ORDERS),
            has_refused: AtomicBool::new(false),
            batch_micros: AtomicU64::new(0),
        }
    }

    /// Whether there is room for one more where so many wait.
    pub(super) fn admits(&self, waiting: usize, now: Instant) -> bool {
        let is_full = waiting >= self.orders(now);
        if is_full {
            self.has_refused.store(true, Ordering::Relaxed);
        }
        !is_full
    }

    /// How many may wait, going by the last batches, and by those under way where they take long. Where one waits for a lock
    /// and others are done beside it, these count.
    pub(super) fn orders(&self, now: Instant) -> usize {
        let now = self.micros(now);
        let age = |began: &AtomicU64| match began.load(Ordering::Relaxed) {
            0 => 0,
            began => now.saturating_sub(began),
        };
        let orders = self.orders.load(Ordering::Relaxed);
        match self.batches.iter().map(age).min() {
            Some(youngest) if youngest >= Self::LONG_MICROS => {
                orders.min(self.orders_at(BATCH_ORDERS as f64 / youngest as f64))
            }
            _ => orders,
        }
    }

    /// How many are stored in the time that one may wait, where a writer stores so many a microsecond.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the bounds, which are integers"
    )]
    fn orders_at(&self, speed: f64) -> usize {
        let orders = speed * self.batches.len() as f64 * Self::WAIT_MICROS;
        orders.round().clamp(Self::FEWEST as f64, QUEUE_ORDERS as f64) as usize
    }

    fn micros(&self, now: Instant) -> u64 {
        u64::try_from((now - self.started).as_micros()).unwrap_or(u64::MAX).max(1)
    }

    /// How long the next batch will take, by the last one.
    pub(super) fn batch_time(&self) -> Duration {
        Duration::from_micros(self.batch_micros.load(Ordering::Relaxed)).min(Self::LONGEST)
    }

    /// Notes that a writer begins a batch.
    pub(super) fn begin_batch(&self, writer: usize, now: Instant) {
        self.batches[writer].store(self.micros(now), Ordering::Relaxed);
    }

    /// Notes that it is done. One that was large, or all that was let in, is what the database can do; of one that took
    /// the few there were, it is known only that a full one takes no less.
    pub(super) fn end_batch(&self, writer: usize, orders: usize, now: Instant) {
        const MANY: usize = BATCH_ORDERS / 2;
        let took = self.micros(now).saturating_sub(self.batches[writer].swap(0, Ordering::Relaxed)).max(1);
        let is_busy = self.has_refused.swap(false, Ordering::Relaxed) || orders >= MANY;
        let mut known = self.speed.lock().unwrap_or_else(PoisonError::into_inner);
        let speed = if is_busy {
            known.add(orders as f64, took as f64)
        } else {
            known.fade(took as f64);
            BATCH_ORDERS as f64 / took as f64
        };
        self.orders.store(self.orders_at(speed), Ordering::Relaxed);
        self.batch_micros.store(took, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = QUEUE_ORDERS;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// The most that may wait after a batch of the first writer.
    fn limit_after(limit: &QueueLimit, orders: usize, took_millis: u64) -> usize {
        let began = limit.started + millis(1000);
        limit.begin_batch(0, began);
        limit.end_batch(0, orders, began + millis(took_millis));
        limit.orders(began)
    }

    #[test]
    fn what_would_wait_too_long_has_no_room() {
        let limit = QueueLimit::new(2);
        assert!(limit.admits(MOST - 1, limit.started) && !limit.admits(MOST, limit.started));
        assert_eq!(limit_after(&limit, 256, 5), MOST);
        for _ in 0..9 {
            limit_after(&limit, 256, 150);
        }
        assert_eq!(limit_after(&limit, 256, 150), 512);
        assert!(limit.admits(511, limit.started) && !limit.admits(512, limit.started));
        assert_eq!(limit_after(&limit, 256, 5000), 64);
    }

    #[test]
    fn a_hitch_takes_no_room() {
        let limit = QueueLimit::new(1);
        for _ in 0..100 {
            limit_after(&limit, 256, 10);
        }
        assert!(limit_after(&limit, 256, 120) > 1000);
        assert!(limit_after(&limit, 256, 10) > 1000);
    }

    #[test]
    fn a_database_that_becomes_slow_is_noticed_at_the_second_batch() {
        let limit = QueueLimit::new(2);
        for _ in 0..100 {
            limit_after(&limit, 256, 10);
        }
        assert!(limit_after(&limit, 256, 400) < 1000);
        assert!(limit_after(&limit, 256, 400) < 300);
        // And one that is fast again after about as much time as it took to notice.
        for _ in 0..40 {
            limit_after(&limit, 256, 10);
        }
        assert!(limit_after(&limit, 256, 10) > 2000);
    }

    #[test]
    fn it_is_noticed_at_once_where_there_was_little_to_do() {
        let limit = QueueLimit::new(2);
        for _ in 0..1000 {
            assert_eq!(limit_after(&limit, 3, 2), MOST);
        }
        assert_eq!(limit_after(&limit, 256, 400), 192);
    }

    #[test]
    fn a_few_orders_say_something_only_where_more_were_refused() {
        // A full batch would take as long at least.
        assert_eq!(limit_after(&QueueLimit::new(2), 3, 150), 512);
        // As of a queue whose clients have given up.
        let limit = QueueLimit::new(2);
        limit.admits(MOST, limit.started);
        assert_eq!(limit_after(&limit, 3, 10), 90);
    }

    #[test]
    fn batches_that_do_not_end_take_the_room_away() {
        let limit = QueueLimit::new(2);
        let began = limit.started + millis(1);
        limit.begin_batch(0, began);
        assert_eq!(limit.orders(began + millis(9000)), MOST);
        limit.begin_batch(1, began);
        assert_eq!(limit.orders(began + millis(299)), MOST);
        assert_eq!(limit.orders(began + millis(300)), 256);
        assert_eq!(limit.orders(began + millis(9000)), 64);
        limit.end_batch(1, 256, began + millis(10));
        assert_eq!(limit.orders(began + millis(9000)), MOST);
    }

    #[test]
    fn a_slow_batch_is_not_expected_for_ever() {
        let limit = QueueLimit::new(1);
        assert_eq!(limit.batch_time(), Duration::ZERO);
        limit_after(&limit, 256, 300);
        assert_eq!(limit.batch_time(), millis(300));
        limit_after(&limit, 256, 1500);
        assert_eq!(limit.batch_time(), millis(500));
    }
}
