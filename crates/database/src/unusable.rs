//! A database that answers and cannot be used all the same.

/// Why a database that answers cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The server is in recovery: it shows what it has replayed so far, and takes no writes.
    #[error("only a standby of the database is reachable")]
    Standby,
    /// Its sessions begin read-only (`default_transaction_read_only`).
    #[error("the database is read-only: default_transaction_read_only is on")]
    ReadOnly,
    /// A pooler gives each transaction another session: locks, settings and prepared statements do not stay.
    #[error(
        "DATABASE_URL leads through a pooler that changes the session with each transaction; \
         set pool_mode = session there, or connect to PostgreSQL directly"
    )]
    Pooled,
    /// The path of SQLite's file, or of its write-ahead log, no longer names the open file.
    #[error(
        "the SQLite file, its -wal or its -shm was removed or replaced while it was in use; \
         put the file back, or restore a backup, before you start the program again"
    )]
    Replaced,
}

impl Unusable {
    /// Its name in health reports. Metrics write `_` for `-`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standby => "standby",
            Self::ReadOnly => "read-only",
            Self::Pooled => "pooled",
            Self::Replaced => "replaced",
        }
    }

    /// The reason inside an error, if it holds one.
    pub fn of(error: &sqlx::Error) -> Option<Self> {
        match error {
            sqlx::Error::Configuration(cause) => cause.downcast_ref().copied(),
            _ => None,
        }
    }

    /// Whether it may pass by itself: a failover or maintenance that ends.
    pub(crate) const fn may_pass(self) -> bool {
        matches!(self, Self::Standby | Self::ReadOnly)
    }
}

impl From<Unusable> for sqlx::Error {
    fn from(unusable: Unusable) -> Self {
        Self::Configuration(Box::new(unusable))
    }
}
