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

/// A server process: process ids are used again, so its start belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Backend {
    /// Its process id.
    pub pid: i32,
    /// When it was started, as the server writes it.
    pub started_at: String,
}

/// A setting of one session, by name.
pub type Setting = (&'static str, &'static str);

/// What is set in every session, whatever server, database and role have as defaults.
///
/// - A commit reports a wait for a standby that was broken off as a warning only, so warnings must come.
/// - Statements rely on seeing what others have committed meanwhile.
/// - A job is idle while it reads files, and its lock must stay.
/// - The server ends the session of a client whose machine is gone after half a minute, not two hours: it holds a job's
///   lock and takes a connection. They are set here, since poolers refuse them at the start of a session.
const PINNED: [Setting; 7] = [
    ("client_min_messages", "warning"),
    ("default_transaction_isolation", "read committed"),
    ("idle_session_timeout", "0"),
    ("tcp_keepalives_idle", "15"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "30000"),
];

/// A commit would be reported before it is durable. Every other value is the operator's choice.
const RAISE_SYNCHRONOUS_COMMIT: &str = "case current_setting('synchronous_commit') when 'off' \
    then set_config('synchronous_commit', 'on', false) end";

/// Sets up a session, these settings of its own included, in one round trip.
pub(crate) async fn set_up(
    connection: &mut PgConnection,
    access: Access,
    settings: &[Setting],
) -> Result<Backend, sqlx::Error> {
    // As one text, which takes one answer; parameters take two, and orders may wait for this.
    let mut sql = "select pid, backend_start::text as started_at, pg_is_in_recovery() as is_standby, \
        current_setting('transaction_read_only')::boolean as is_read_only"
        .to_owned();
    // What only reads may have a session that others get, too.
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

/// Looks at a session that is used for writing: it must not have become that of a standby, nor read-only. Returns the
/// server's process.
pub(crate) async fn look_at(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    // Without a prepared statement, which a pooler may lose, or take for another one.
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

/// Checks that no pooler changes the session behind a connection with each transaction. Two connections show it: one
/// alone may get the same session for a long time.
pub(crate) async fn check_is_direct(
    connection: &mut PgConnection,
    options: &PgConnectOptions,
) -> Result<(), sqlx::Error> {
    const LOOKS: usize = 2;
    /// A pooler that has no session left lets a connection wait.
    const PATIENCE: Duration = Duration::from_secs(1);
    let own = pid(connection).await?;
    let other = async {
        let mut other = PgConnection::connect_with(options).await?;
        pid(&mut other).await.map(|pid| (other, pid))
    };
    let (mut other, mut others) = match timeout(PATIENCE, other).await {
        Ok(Ok(other)) => other,
        // There is no room for a second one: then there is nothing to compare with.
        Err(_) => return Ok(()),
        Ok(Err(error)) if is_full(&error) => return Ok(()),
        Ok(Err(error)) => return Err(error),
    };
    for _ in 0..LOOKS {
        // Where sessions are handed out in turn, twice in a row shows it.
        if others == own || pid(connection).await? != own || pid(connection).await? != own {
            return Err(Unusable::Pooled.into());
        }
        others = pid(&mut other).await?;
    }
    // That it was heard is not needed.
    let _ = other.close().await;
    if others == own { Err(Unusable::Pooled.into()) } else { Ok(()) }
}

fn is_full(error: &sqlx::Error) -> bool {
    // PgBouncer has one code (08P01) for all that it refuses.
    matches!(error, sqlx::Error::Database(error) if error.code().is_some_and(|code| code.starts_with("53"))
        || error.message().contains("max_client_conn") || error.message().contains("no more connections"))
}

async fn pid(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    connection.fetch_one("select pg_backend_pid()").await?.try_get(0)
}
