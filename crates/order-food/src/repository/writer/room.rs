//! How many orders may wait: no more than will be stored before their clients are told that it took too long.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::OrderWriter;

/// Room in the queue, by how long batches took lately.
pub(super) struct Room {
    writers: usize,
    /// Microseconds that the last batch took, if it was one of many orders; else 0.
    batch_micros: AtomicU64,
}

impl Room {
    /// How long an order may wait for its batch.
    const WAIT_MICROS: usize = 500_000;
    /// A batch of fewer orders than this took all that waited: how long it took says nothing about a queue.
    const MANY: usize = OrderWriter::BATCH_ORDERS / 2;

    pub(super) const fn new(writers: usize) -> Self {
        Self { writers, batch_micros: AtomicU64::new(0) }
    }

    /// How many orders are stored in the time that one may wait, within bounds.
    pub(super) fn orders(&self) -> usize {
        match self.batch_micros.load(Ordering::Relaxed) {
            0 => OrderWriter::QUEUE_ORDERS,
            micros => {
                let batch_micros = usize::try_from(micros).unwrap_or(usize::MAX);
                let batches = Self::WAIT_MICROS * self.writers / batch_micros;
                (batches * OrderWriter::BATCH_ORDERS)
                    .clamp(OrderWriter::BATCH_ORDERS, OrderWriter::QUEUE_ORDERS)
            }
        }
    }

    /// Notes how long a batch took.
    pub(super) fn note_batch(&self, orders: usize, took: Duration) {
        let micros = if orders < Self::MANY { 0 } else { took.as_micros().clamp(1, u128::from(u64::MAX)) };
        self.batch_micros.store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_wait_too_long_has_no_room() {
        let room = Room::new(2);
        assert_eq!(room.orders(), OrderWriter::QUEUE_ORDERS);
        room.note_batch(256, Duration::from_millis(5));
        assert_eq!(room.orders(), OrderWriter::QUEUE_ORDERS);
        room.note_batch(256, Duration::from_millis(250));
        assert_eq!(room.orders(), 4 * 256);
        // One batch always has room, however slow the database is.
        room.note_batch(256, Duration::from_secs(5));
        assert_eq!(room.orders(), 256);
        room.note_batch(3, Duration::from_secs(5));
        assert_eq!(room.orders(), OrderWriter::QUEUE_ORDERS);
    }
}
