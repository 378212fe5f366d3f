//! What a failure to reach the database means.

use std::borrow::Cow;
use std::error::Error;

use sqlx::error::DatabaseError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::Unusable;

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
    /// The database answers but cannot be used.
    #[error("{url} cannot be used: {cause}")]
    Unusable {
        /// Where, without the password.
        url: String,
        /// The reason.
        cause: Unusable,
    },
    /// There is no such file, and it is not for this program to make it.
    #[error("{0} does not exist; database-migration makes it")]
    NoFile(String),
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
        sqlx::Error::Configuration(_) => Unusable::of(error).is_some(),
        // Class 08 connection exception, 53 out of resources, 25006 read-only (a standby), 57014 cancelled by somebody
        // else, 57P0x being shut down or started (PostgreSQL,
        // appendix A); 5 busy, 6 locked, 8 read-only, 10 I/O error, 13 full, 14 cannot open (SQLite result codes).
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            // Fatal: PostgreSQL ended the session, or did not let it begin.
            Some(error) => {
                let code = error.code();
                is_fatal(error)
                    || matches!(&code[..2], "08" | "53")
                    || matches!(code, "25006" | "57014")
                    || code.starts_with("57P0")
                    || OTHER_SESSION.contains(&code)
            }
            None => sqlite_code(error.as_ref()).is_some_and(|code| matches!(code, 5 | 6 | 8 | 10 | 13 | 14)),
        },
        _ => false,
    }
}

/// The database's own code of the error, such as `40001` or SQLite's `5`.
pub fn response_code(error: &sqlx::Error) -> Option<String> {
    match error {
        sqlx::Error::Database(error) => error.code().map(Cow::into_owned),
        _ => None,
    }
}

/// The text of a driver's error in the log. PostgreSQL's errors come with their SQLSTATE, without the line of the server's
/// own source code. A timeout names the database, because operators do not know the pool.
pub fn words(error: &(dyn Error + 'static)) -> Option<String> {
    let of_server = |error: &dyn DatabaseError| {
        let error: &PgDatabaseError = error.try_downcast_ref()?;
        Some(format!("{} (SQLSTATE {})", error.message(), error.code()))
    };
    match error.downcast_ref() {
        Some(sqlx::Error::PoolTimedOut) => Some("no answer from the database in time".to_owned()),
        Some(sqlx::Error::Database(error)) => of_server(&**error),
        Some(_) => None,
        None => error.downcast_ref::<Box<dyn DatabaseError>>().and_then(|error| of_server(&**error)),
    }
}

/// Advice about an error that only the owner of the database can mend.
pub fn advice(error: &sqlx::Error) -> Option<&'static str> {
    match response_code(error)?.as_str() {
        "42501" => Some(
            "the role of DATABASE_URL lacks rights; as the owner of the database run: \
             grant usage, create on schema public to ROLE; \
             grant select, insert, update, delete on all tables in schema public to ROLE",
        ),
        "3F000" => Some(
            "the search_path of the role names no schema that exists; run: alter role ROLE set search_path = public",
        ),
        _ => None,
    }
}

/// A prepared statement is missing (26000) or exists already (42P05): a pooler has put another session behind the
/// connection.
const OTHER_SESSION: [&str; 2] = ["26000", "42P05"];

/// Whether a statement that failed so is certainly not done. It is not certain when the session ended before the
/// database said how the statement went: it may have been committed just before.
pub fn is_certainly_not_done(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Encode(_) => true,
        // Such a fault is found before anything is sent.
        sqlx::Error::Configuration(_) => Unusable::of(error).is_some(),
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => !is_fatal(error),
            // 10: an I/O error may have struck after the commit.
            None => sqlite_code(error.as_ref()) != Some(10),
        },
        _ => false,
    }
}

/// Whether the same statement may succeed when it is tried again. It gave up waiting for a lock (55P03), was chosen to
/// end a deadlock (40P01), or could not be ordered among others (40001).
pub fn is_worth_a_retry(error: &sqlx::Error) -> bool {
    let codes = ["55P03", "40P01", "40001"];
    matches!(error, sqlx::Error::Database(error) if error.code().is_some_and(|code| codes.contains(&&*code)))
}

fn is_fatal(error: &PgDatabaseError) -> bool {
    matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)
}

/// The primary result code of an SQLite error.
fn sqlite_code(error: &dyn DatabaseError) -> Option<u32> {
    error.code()?.parse::<u32>().ok().map(|code| code & 0xff)
}

/// Whether trying to connect again later may work: nobody listens yet, the server is starting, shutting down or full,
/// its database is still to be made (3D000), SQLite's file is locked. A wrong password or path stays wrong.
pub(crate) fn is_worth_waiting_for(error: &sqlx::Error) -> bool {
    if let Some(unusable) = Unusable::of(error) {
        return unusable.may_pass();
    }
    match error {
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => {
                let code = error.code();
                code.starts_with("53") || code.starts_with("57P0") || code == "3D000"
            }
            None => sqlite_code(error.as_ref()).is_some_and(|code| matches!(code, 5 | 6)),
        },
        error => is_unavailable(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn operators_do_not_read_of_a_pool() {
        let late = words(&sqlx::Error::PoolTimedOut);
        assert_eq!(late.as_deref(), Some("no answer from the database in time"));
        let name = io::Error::other("failed to lookup address information");
        assert_eq!(words(&sqlx::Error::Io(name)), None);
    }
}
