//! The life of an order: its statuses, and which of them may follow which.

use std::fmt;

/// Where an order is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderStatus {
    /// Stored, and not yet seen by the kitchen.
    Placed,
    /// The kitchen will prepare it.
    Accepted,
    /// The kitchen is at it.
    Preparing,
    /// It can be picked up.
    Ready,
    /// The guest has it.
    Completed,
    /// The kitchen does not prepare it. Final.
    Rejected,
    /// Called off by the guest or the shop. Final.
    Cancelled,
    /// A word of a newer release, which must not stop this one from reading the order.
    Unknown(Box<str>),
}

impl OrderStatus {
    /// Every status that this release knows.
    pub const KNOWN: [Self; 7] = [
        Self::Placed,
        Self::Accepted,
        Self::Preparing,
        Self::Ready,
        Self::Completed,
        Self::Rejected,
        Self::Cancelled,
    ];

    /// The word in tables and in JSON.
    pub const fn as_str(&self) -> &str {
        match self {
            Self::Placed => "placed",
            Self::Accepted => "accepted",
            Self::Preparing => "preparing",
            Self::Ready => "ready",
            Self::Completed => "completed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Unknown(word) => word,
        }
    }

    /// The status with that word.
    pub fn of(word: &str) -> Self {
        let known = Self::KNOWN.into_iter().find(|status| status.as_str() == word);
        known.unwrap_or_else(|| Self::Unknown(word.into()))
    }

    /// The statuses that may follow: forward, or back by a recall on the kitchen's board.
    pub const fn next(&self) -> &'static [Self] {
        match self {
            Self::Placed => &[Self::Accepted, Self::Preparing, Self::Rejected, Self::Cancelled],
            Self::Accepted => &[Self::Preparing, Self::Ready, Self::Cancelled],
            Self::Preparing => &[Self::Ready, Self::Accepted, Self::Cancelled],
            Self::Ready => &[Self::Completed, Self::Preparing, Self::Cancelled],
            Self::Completed => &[Self::Ready],
            Self::Rejected | Self::Cancelled | Self::Unknown(_) => &[],
        }
    }

    /// Whether an order with this status may get the status `next`.
    pub fn may_become(&self, next: &Self) -> bool {
        self.next().contains(next)
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_as_written() {
        for status in OrderStatus::KNOWN {
            assert_eq!(OrderStatus::of(status.as_str()), status);
        }
        for word in ["delivered", "Placed", "", "placed "] {
            assert_eq!(OrderStatus::of(word).as_str(), word);
            assert_eq!(OrderStatus::of(word), OrderStatus::Unknown(word.into()));
        }
    }

    #[test]
    fn an_order_can_reach_every_status_and_leaves_no_final_one() {
        let mut reached = vec![OrderStatus::Placed];
        let mut at = 0;
        while let Some(status) = reached.get(at).cloned() {
            for next in status.next() {
                if !reached.contains(next) {
                    reached.push(next.clone());
                }
            }
            at += 1;
        }
        assert!(OrderStatus::KNOWN.iter().all(|status| reached.contains(status)), "{reached:?}");
        let last: Vec<_> = reached.iter().filter(|status| status.next().is_empty()).collect();
        assert_eq!(last, [&OrderStatus::Rejected, &OrderStatus::Cancelled]);
        assert!(
            reached.iter().all(|status| !status.may_become(&OrderStatus::Placed)),
            "placed is the beginning"
        );
        assert!(reached.iter().all(|status| !status.may_become(status)), "a change changes something");
    }
}
