//! What a failure of the database means.

use database::Unusable;

/// Which error type lives where: storage returns this one, which says what a failure means and keeps the driver's
/// error for the log; services return their own, which say what it means to the business; handlers turn those into
/// API errors, the only ones that clients see.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The database is away, full or too slow. Nothing was stored.
    #[error("the database is unavailable")]
    Unavailable(#[source] Option<sqlx::Error>),
    /// The database went away while a write was under way: it is stored or not.
    #[error("the outcome of a write is unknown")]
    OutcomeUnknown(#[source] Option<sqlx::Error>),
    /// So many orders wait already that this one would not be served in time. It was not stored.
    #[error("the queue of the order writer is full")]
    QueueFull,
    /// Another order with the same idempotency key is under way, and stayed so. This one was not stored.
    #[error("another order with the same idempotency key is under way")]
    KeyInProgress,
    /// The database refused this one order; the writer has logged why. It was not stored.
    #[error("the database refused an order")]
    Refused,
    /// A row holds what no program of ours would write.
    #[error("{table} holds a row that cannot be read ({what})")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The row, and what is wrong with it.
        what: String,
    },
    /// Anything else: a fault of this program or of the schema.
    #[error("the database refused a statement")]
    Other(#[source] sqlx::Error),
}

impl StorageError {
    /// Its name in metrics and traces (`error.type`).
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::OutcomeUnknown(_) => "outcome_unknown",
            Self::QueueFull => "queue_full",
            Self::KeyInProgress => "key_in_progress",
            Self::Refused => "refused",
            Self::Inconsistent { .. } => "inconsistent",
            Self::Other(_) => "other",
        }
    }

    /// A value that cannot be written in the form that the database wants.
    pub fn not_encodable(error: serde_json::Error) -> Self {
        Self::Other(sqlx::Error::Encode(error.into()))
    }

    /// The driver's error.
    pub(crate) const fn cause(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Unavailable(cause) | Self::OutcomeUnknown(cause) => cause.as_ref(),
            Self::Other(cause) => Some(cause),
            Self::QueueFull | Self::KeyInProgress | Self::Refused | Self::Inconsistent { .. } => None,
        }
    }

    /// Advice for the owner of the database, if only the owner can mend it.
    pub fn advice(&self) -> Option<&'static str> {
        self.cause().and_then(database::advice)
    }

    /// Why a database that answers cannot be used, if that is the error.
    pub fn unusable(&self) -> Option<Unusable> {
        match self {
            Self::Unavailable(cause) => cause.as_ref().and_then(Unusable::of),
            Self::OutcomeUnknown(_)
            | Self::QueueFull
            | Self::KeyInProgress
            | Self::Refused
            | Self::Inconsistent { .. }
            | Self::Other(_) => None,
        }
    }
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        if database::is_unavailable(&error) { Self::Unavailable(Some(error)) } else { Self::Other(error) }
    }
}
