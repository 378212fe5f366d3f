//! `database-migration`: run before the API, as an init container on a cluster.

use std::cell::OnceCell;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use database::settings::{self, Refusal};
use database::{Access, ConnectError, DatabaseArgs, DatabaseUrl, LockError, Session};
use database_migration::{MigrationError, Migrator, SchemaState};
use telemetry::{LogStream, Service, StopSignal, StopSignals, Telemetry, TelemetryArgs};
use tracing::Instrument;

const EXIT_CODES: &str = "Exit codes:
  0    done, or nothing to do (also when a newer release has migrated further)
  1    a migration or a statement failed; what it began was rolled back
  2    a wrong argument or setting
  3    the database was not reachable in time, or refused the connection
  4    the history contradicts this program: an unknown, changed or skipped migration, named in the message
  5    validate: migrations are pending
  6    another run held the lock for too long
  130, 143  stopped by SIGINT, SIGTERM";

/// Brings the database's schema up to date
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    database: DatabaseArgs,
    /// How long to wait for the database
    #[arg(long, env = "WAIT_SECONDS", default_value_t = 60, global = true, value_parser = seconds)]
    wait_seconds: u64,
    /// How long to wait for another run
    #[arg(long, env = "LOCK_WAIT_SECONDS", default_value_t = 120, global = true, value_parser = seconds)]
    lock_wait_seconds: u64,
    #[command(flatten)]
    telemetry: TelemetryArgs,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// Apply what is pending (default)
    Up,
    /// List what is applied and what is pending, as JSON
    Status,
    /// Fail unless exactly this release's migrations, or more, are applied
    Validate,
}

fn seconds(text: &str) -> Result<u64, &'static str> {
    text.parse()
        .ok()
        .filter(|seconds| *seconds <= 86_400)
        .ok_or("is not a number of seconds up to 86400; example: 60")
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Migration(#[from] MigrationError),
    #[error("{} migrations are pending, first of them {}", .0.pending.len(), .0.pending[0])]
    Pending(SchemaState),
    #[error("the result could not be written")]
    Output(#[from] io::Error),
}

impl Failure {
    /// What the owner of the database has to do about it, if that is it.
    fn advice(&self) -> Option<&'static str> {
        let mut cause: Option<&(dyn Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if let Some(advice) = error.downcast_ref().and_then(database::advice) {
                return Some(advice);
            }
            cause = error.source();
        }
        None
    }

    const fn exit_code(&self) -> u8 {
        match self {
            Self::Output(_)
            | Self::Migration(
                MigrationError::Migration(_)
                | MigrationError::Database(_)
                | MigrationError::Lock(LockError::Database(_) | LockError::File(..)),
            ) => 1,
            Self::Connect(_) => 3,
            Self::Migration(MigrationError::Conflicts(_)) => 4,
            Self::Pending(_) => 5,
            Self::Migration(MigrationError::Lock(LockError::TimedOut { .. })) => 6,
        }
    }
}

fn main() -> ExitCode {
    let arguments: Arguments = match settings::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(refusal) => return refusal.report("database-migration"),
    };
    let url = match arguments.database.url() {
        Ok(url) => url,
        Err(error) => return Refusal::from(error).report("database-migration"),
    };
    let stream = match arguments.command {
        None | Some(Command::Up) => LogStream::Stdout,
        Some(Command::Status | Command::Validate) => LogStream::Stderr,
    };
    let service = Service { name: "database-migration", version: env!("CARGO_PKG_VERSION") };
    let telemetry = Telemetry::start(service, &arguments.telemetry, stream);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run(&arguments, &url, telemetry));
    // Whoever did not wait for the last spans does not wait for them here.
    runtime.shutdown_background();
    code
}

/// The job, as one trace, and the end of telemetry.
async fn run(arguments: &Arguments, url: &DatabaseUrl, telemetry: Telemetry) -> ExitCode {
    let mut signals = match StopSignals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "cannot listen for signals");
            return ExitCode::FAILURE;
        }
    };
    let root = telemetry.tracing().root(None, || telemetry::root_span!("migration.execute"));
    let span = root.as_ref().map_or_else(tracing::Span::none, |root| root.span.clone());
    let (code, failure) = work(arguments, url, &mut signals).instrument(span).await;
    if let Some(root) = root {
        root.finish(code, failure);
    }
    ExitCode::from(telemetry.end(signals).await.map_or(code, StopSignal::exit_code))
}

/// The exit code, and what went wrong.
async fn work(arguments: &Arguments, url: &DatabaseUrl, signals: &mut StopSignals) -> (u8, Option<String>) {
    let started = Instant::now();
    let canceller = OnceCell::new();
    let work = async {
        let wait = Duration::from_secs(arguments.wait_seconds);
        let mut session = match arguments.command.unwrap_or(Command::Up) {
            Command::Up => Session::open(url, "database-migration", wait).await?,
            Command::Status | Command::Validate => {
                Session::open_existing(url, "database-migration", Access::AnyServer, wait).await?
            }
        };
        let _ = canceller.set(session.canceller());
        execute(arguments, url, &mut session).await?;
        session.close().await;
        Ok(())
    };
    let outcome: Result<(), Failure> = tokio::select! {
        outcome = work => outcome,
        signal = signals.next() => {
            if let Some(canceller) = canceller.get() {
                canceller.cancel().await;
            }
            tracing::warn!(?signal, "stopped; unfinished work is rolled back");
            return (signal.exit_code(), Some("stopped by a signal".to_owned()));
        }
    };
    match outcome {
        Ok(()) => {
            tracing::info!(
                duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
                "done"
            );
            (0, None)
        }
        Err(failure) => {
            let cause = failure.source().map(|cause| telemetry::causes(cause, database::words));
            let advice = failure.advice();
            tracing::error!(cause, advice, exit_code = failure.exit_code(), "{failure}");
            (failure.exit_code(), Some(failure.to_string()))
        }
    }
}

async fn execute(arguments: &Arguments, url: &DatabaseUrl, session: &mut Session) -> Result<(), Failure> {
    let migrator = Migrator { lock_wait: Duration::from_secs(arguments.lock_wait_seconds) };
    match arguments.command.unwrap_or(Command::Up) {
        Command::Up => {
            let applied = migrator.up(url, &mut session.connection).await?;
            for migration in &applied {
                tracing::info!(%migration, "applied");
            }
            tracing::info!(database = %url, applied = applied.len(), "the schema is up to date");
        }
        Command::Status => {
            let state = Migrator::state(session.connection.as_mut()).await.map_err(MigrationError::from)?;
            let conflicts: Vec<_> = state.conflicts.iter().map(ToString::to_string).collect();
            let status = serde_json::json!({
                "applied": state.applied, "pending": state.pending, "newer": state.newer, "conflicts": conflicts,
            });
            writeln!(io::stdout(), "{status:#}")?;
        }
        Command::Validate => {
            let state = Migrator::state(session.connection.as_mut()).await.map_err(MigrationError::from)?;
            if !state.conflicts.is_empty() {
                return Err(MigrationError::Conflicts(state.conflicts).into());
            }
            if !state.pending.is_empty() {
                return Err(Failure::Pending(state));
            }
        }
    }
    Ok(())
}
