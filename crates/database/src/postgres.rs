//! A new PostgreSQL session: the settings that the programs rely on, and what kind of server it leads to.

use std::fmt::Write as _;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, FromRow as _, PgConnection, Row as _};

use tokio::time::timeout;

use crate::Unusable;

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For reading what a standby may show, too.
    AnyServer,
    /// For reading what is true now: not on a standby.
    Read,
    /// For writing: not on a standby, and not where sessions are read-only.
    Write,
}

/// A server process. Process ids are used again, so its start is part of its identity.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Backend {
    /// Its process id.
    pub pid: i32,
    /// When it was started, as the server writes it.
    pub started_at: String,
}

/// A setting of one session, by name.
pub type Setting = (&'static str, &'static str);

/// Settings of every session, whatever the defaults of server, database and role are.
///
/// - Warnings must come: a commit whose wait for a standby was broken off reports that as a warning only.
/// - Statements rely on seeing the rows that others have committed meanwhile.
/// - A job is idle while it reads files, and its lock must stay.
/// - When a client's machine is gone, the server ends the session after half a minute instead of two hours: the session
///   holds a job's lock and takes a connection. Poolers refuse these settings at the start of a session.
const PINNED: [Setting; 7] = [
    ("client_min_messages", "warning"),
    ("default_transaction_isolation", "read committed"),
    ("idle_session_timeout", "0"),
    ("tcp_keepalives_idle", "15"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "30000"),
];

/// With `off`, a commit would be reported before it is durable. Every other value is the operator's choice.
const RAISE_SYNCHRONOUS_COMMIT: &str = "case current_setting('synchronous_commit') when 'off' \
    then set_config('synchronous_commit', 'on', false) end";

/// Sets up a session in one round trip. `settings` are its own, beside those of every session.
pub(crate) async fn set_up(
    connection: &mut PgConnection,
    access: Access,
    settings: &[Setting],
) -> Result<Backend, sqlx::Error> {
    // One text takes one round trip, parameters would take two. Orders may wait for this.
    let mut sql = "select pid, backend_start::text as started_at, pg_is_in_recovery() as is_standby, \
        current_setting('transaction_read_only')::boolean as is_read_only"
        .to_owned();
    // A session that may lead to any server may also be shared through a pooler, so nothing is set in it.
    if access != Access::AnyServer {
        // Writing to a String does not fail.
        let _ = write!(sql, ", {RAISE_SYNCHRONOUS_COMMIT}");
        for (name, value) in PINNED.iter().chain(settings) {
            let _ = write!(sql, ", set_config('{name}', '{value}', false)");
        }
    }
    sql.push_str(" from pg_stat_activity where pid = pg_backend_pid()");
    let row = connection.fetch_one(AssertSqlSafe(sql)).await?;
    match access {
        Access::Read | Access::Write if row.try_get("is_standby")? => Err(Unusable::Standby.into()),
        Access::Write if row.try_get("is_read_only")? => Err(Unusable::ReadOnly.into()),
        Access::AnyServer | Access::Read | Access::Write => Backend::from_row(&row),
    }
}

/// Checks that a session for writing is still on a primary and not read-only. Returns the id of the server's process.
pub(crate) async fn look_at(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    // Not a prepared statement: a pooler may lose it, or take it for another one.
    let look = "select pg_is_in_recovery(), current_setting('default_transaction_read_only')::boolean, pg_backend_pid()";
    let row = connection.fetch_one(look).await?;
    if row.try_get(0)? {
        Err(Unusable::Standby.into())
    } else if row.try_get(1)? {
        Err(Unusable::ReadOnly.into())
    } else {
        row.try_get(2)
    }
}

/// Checks that no pooler changes the session behind a connection with each transaction. This takes two connections: a
/// single one may get the same session for a long time.
pub(crate) async fn check_is_direct(
    connection: &mut PgConnection,
    options: &PgConnectOptions,
) -> Result<(), sqlx::Error> {
    const LOOKS: usize = 2;
    /// How long to wait for the second connection: a pooler that has no session left lets it wait.
    const PATIENCE: Duration = Duration::from_secs(1);
    let own = pid(connection).await?;
    let other = async {
        let mut other = PgConnection::connect_with(options).await?;
        pid(&mut other).await.map(|pid| (other, pid))
    };
    let (mut other, mut others) = match timeout(PATIENCE, other).await {
        Ok(Ok(other)) => other,
        // There is no room for a second connection, so there is nothing to compare with.
        Err(_) => return Ok(()),
        Ok(Err(error)) if is_full(&error) => return Ok(()),
        Ok(Err(error)) => return Err(error),
    };
    for _ in 0..LOOKS {
        // A pooler that hands sessions out in turn shows when one connection asks twice in a row.
        if others == own || pid(connection).await? != own || pid(connection).await? != own {
            return Err(Unusable::Pooled.into());
        }
        others = pid(&mut other).await?;
    }
    // The server need not have heard it.
    let _ = other.close().await;
    if others == own { Err(Unusable::Pooled.into()) } else { Ok(()) }
}

fn is_full(error: &sqlx::Error) -> bool {
    // PgBouncer has one code (08P01) for all refusals.
    matches!(error, sqlx::Error::Database(error) if error.code().is_some_and(|code| code.starts_with("53"))
        || error.message().contains("max_client_conn") || error.message().contains("no more connections"))
}

async fn pid(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    connection.fetch_one("select pg_backend_pid()").await?.try_get(0)
}
