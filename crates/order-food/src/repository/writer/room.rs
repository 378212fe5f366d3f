//! How many orders may wait: no more than will be stored before their clients are told that it took too long.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::OrderWriter;

/// Room in the queue, by how fast orders are stored.
///
/// In overload the queue is what the next batch is made of, so a short queue also keeps batches short: each is done well
/// before the deadline of its orders, also where it has to go to the database several times.
pub(super) struct Room {
    started: Instant,
    /// Of each writer, when its batch under way began: microseconds since `started`; 0 where there is none.
    batches: Vec<AtomicU64>,
    /// How many may wait, by the last batch that was done.
    orders: AtomicUsize,
    /// Whether somebody was refused since then.
    has_refused: AtomicBool,
    /// How long it took.
    batch_micros: AtomicU64,
}

impl Room {
    /// How long an order may wait for its batch.
    const WAIT_MICROS: u64 = 150_000;
    /// The fewest that may wait, however slow the database is: where a commit takes the same time whatever is in it, more
    /// orders a commit are all that helps.
    const FEWEST: usize = OrderWriter::BATCH_ORDERS / 4;
    /// The most that is taken for the time of the next batch: the database may be faster again by then.
    const LONGEST: Duration = Duration::from_millis(500);

    pub(super) fn new(writers: usize) -> Self {
        Self {
            started: Instant::now(),
            batches: (0..writers).map(|_| AtomicU64::new(0)).collect(),
            orders: AtomicUsize::new(OrderWriter::QUEUE_ORDERS),
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

    /// How many may wait, by the last batch, and by how long those under way take already: a database that stands still
    /// says nothing else. Where one batch waits for a lock and others are done beside it, these count.
    pub(super) fn orders(&self, now: Instant) -> usize {
        let now = self.micros(now);
        let age = |began: &AtomicU64| match began.load(Ordering::Relaxed) {
            0 => 0,
            began => now.saturating_sub(began),
        };
        let youngest = self.batches.iter().map(age).min().unwrap_or_default();
        self.orders_for(OrderWriter::BATCH_ORDERS, youngest).min(self.orders.load(Ordering::Relaxed))
    }

    /// How many are stored in the time that one may wait, where a batch of so many takes so long.
    fn orders_for(&self, batch_orders: usize, batch_micros: u64) -> usize {
        let orders = (batch_orders * self.batches.len()) as u64 * Self::WAIT_MICROS / batch_micros.max(1);
        usize::try_from(orders).unwrap_or(usize::MAX).clamp(Self::FEWEST, OrderWriter::QUEUE_ORDERS)
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
        const MANY: usize = OrderWriter::BATCH_ORDERS / 2;
        let took = self.micros(now).saturating_sub(self.batches[writer].swap(0, Ordering::Relaxed));
        let is_busy = self.has_refused.swap(false, Ordering::Relaxed) || orders >= MANY;
        let stored = if is_busy { orders } else { OrderWriter::BATCH_ORDERS };
        self.orders.store(self.orders_for(stored, took), Ordering::Relaxed);
        self.batch_micros.store(took, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = OrderWriter::QUEUE_ORDERS;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// The most that may wait after a batch of the first writer.
    fn room_after(room: &Room, orders: usize, took_millis: u64) -> usize {
        let began = room.started + millis(1000);
        room.begin_batch(0, began);
        room.end_batch(0, orders, began + millis(took_millis));
        room.orders(began)
    }

    #[test]
    fn what_would_wait_too_long_has_no_room() {
        let room = Room::new(2);
        assert!(room.admits(MOST - 1, room.started) && !room.admits(MOST, room.started));
        assert_eq!(room_after(&room, 256, 5), MOST);
        assert_eq!(room_after(&room, 256, 150), 512);
        assert!(room.admits(511, room.started) && !room.admits(512, room.started));
        assert_eq!(room_after(&room, 256, 5000), 64);
    }

    #[test]
    fn a_few_orders_say_something_only_where_more_were_refused() {
        let room = Room::new(2);
        assert_eq!(room_after(&room, 3, 1), MOST);
        // A full batch would take as long at least.
        assert_eq!(room_after(&room, 3, 150), 512);
        assert_eq!(room_after(&room, 3, 1), MOST);
        // As of a queue whose clients have given up.
        room.admits(MOST, room.started);
        assert_eq!(room_after(&room, 3, 10), 90);
        // The next one is noted for itself.
        assert_eq!(room_after(&room, 3, 10), MOST);
    }

    #[test]
    fn batches_that_do_not_end_take_the_room_away() {
        let room = Room::new(2);
        let began = room.started + millis(1);
        room.begin_batch(0, began);
        assert_eq!(room.orders(began + millis(9000)), MOST);
        room.begin_batch(1, began);
        assert_eq!(room.orders(began + millis(10)), MOST);
        assert_eq!(room.orders(began + millis(150)), 512);
        assert_eq!(room.orders(began + millis(9000)), 64);
        room.end_batch(1, 256, began + millis(10));
        assert_eq!(room.orders(began + millis(9000)), MOST);
    }

    #[test]
    fn a_slow_batch_is_not_expected_for_ever() {
        let room = Room::new(1);
        assert_eq!(room.batch_time(), Duration::ZERO);
        room_after(&room, 256, 300);
        assert_eq!(room.batch_time(), millis(300));
        room_after(&room, 256, 1500);
        assert_eq!(room.batch_time(), millis(500));
    }
}
