//! What a failure to reach the database means.

/// A job could not get its session.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It never answered in the time given.
    #[error("{url} was not reachable within {waited_seconds} s")]
    Unreachable {
        /// Where, without the password.
        url: String,
        /// For how long it was tried.
        waited_seconds: u64,
        /// The last answer.
        #[source]
        last: sqlx::Error,
    },
    /// It answered, and waiting will not help: a wrong password, no TLS where TLS is asked for, an unreadable file.
    #[error("{url} refuses the connection")]
    Refused {
        /// Where, without the password.
        url: String,
        /// What it said.
        #[source]
        cause: sqlx::Error,
    },
}

/// Whether the error says that the database is away (or going, coming, or full up) rather than that the statement
/// was wrong.
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => true,
        // Class 08 connection exception, 53 out of resources, 57P0x being shut down or started (PostgreSQL,
        // appendix A); 5 busy, 6 locked, 10 I/O error, 13 full, 14 cannot open (SQLite result codes).
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            if code.len() == 5
                && error
                    .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
                    .is_some()
            {
                code.starts_with("08") || code.starts_with("53") || code.starts_with("57P0")
            } else {
                code.parse::<u32>()
                    .is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13 | 14))
            }
        }),
        _ => false,
    }
}

/// Whether trying again later may work. A missing database (3D000) counts: on a first start it may still be made.
pub(crate) fn is_worth_waiting_for(error: &sqlx::Error) -> bool {
    let missing_database = matches!(error, sqlx::Error::Database(e) if e.code().as_deref() == Some("3D000"));
    is_unavailable(error) || missing_database
}
