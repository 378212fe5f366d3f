//! Why a batch was not stored.

use database::Unusable;

/// Why a batch was not stored, or may not have been.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreFailure {
    /// There was no connection to send it on.
    #[error("there is no connection to the database")]
    NotSent(Option<Unusable>),
    /// A lock was not free in time, or the database could not order the transaction among others. Nothing was stored;
    /// it is worth another attempt.
    #[error("a lock was not free in time")]
    LockTimeout(#[source] sqlx::Error),
    /// The database refuses an order of the batch. Nothing was stored.
    #[error("the database refuses an order")]
    Refused(#[source] sqlx::Error),
    /// The database is away, going away, or full. Nothing was stored.
    #[error("the database is away")]
    Away(#[source] sqlx::Error),
    /// The database did not say how the commit went: the batch is stored or not.
    #[error("{why}")]
    OutcomeUnknown {
        /// What is known.
        why: &'static str,
        /// The driver's error, if there is one.
        #[source]
        cause: Option<sqlx::Error>,
    },
}

impl StoreFailure {
    /// An unknown outcome that the driver has no error for.
    pub const fn outcome_unknown(why: &'static str) -> Self {
        Self::OutcomeUnknown { why, cause: None }
    }

    /// Whether the connection is of no further use: it is lost, or the server behind it is going away.
    pub const fn loses_connection(&self) -> bool {
        match self {
            Self::Away(_) | Self::OutcomeUnknown { .. } => true,
            Self::NotSent(_) | Self::LockTimeout(_) | Self::Refused(_) => false,
        }
    }

    /// The database's own code of the error.
    pub fn response_code(&self) -> Option<String> {
        match self {
            Self::LockTimeout(cause) | Self::Refused(cause) | Self::Away(cause) => {
                database::response_code(cause)
            }
            Self::OutcomeUnknown { cause, .. } => cause.as_ref().and_then(database::response_code),
            Self::NotSent(_) => None,
        }
    }
}

impl From<sqlx::Error> for StoreFailure {
    fn from(error: sqlx::Error) -> Self {
        if !database::is_certainly_not_done(&error) {
            Self::OutcomeUnknown {
                why: "the session ended before the commit was confirmed",
                cause: Some(error),
            }
        } else if database::is_unavailable(&error) {
            Self::Away(error)
        } else if database::is_worth_a_retry(&error) {
            Self::LockTimeout(error)
        } else {
            Self::Refused(error)
        }
    }
}
