//! `database-load`: run before the API as an init container, and again as a CronJob.

mod arguments;
mod print;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use coupon_corpus::CorpusError;
use database::settings::{self, Refusal, SettingError};
use database::{Access, Canceller, ConnectError, DatabaseUrl, LockError, Session};
use database_load::{DataSet, Load, LoadError, Options, Source, Summary, find_coupons};
use domain::{Pepper, SystemClock};
use telemetry::{LogStream, Service, StopSignal, StopSignals, Telemetry};
use tracing::Instrument;

use arguments::{Arguments, Command};

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("the summary could not be written")]
    Output(#[from] io::Error),
    #[error("the program failed")]
    Panicked(#[source] tokio::task::JoinError),
}

impl Failure {
    const fn exit_code(&self) -> u8 {
        match self {
            Self::Output(_)
            | Self::Panicked(_)
            | Self::Load(
                LoadError::Database(_) | LoadError::Lock(LockError::Database(_) | LockError::File(..)),
            ) => 1,
            Self::Load(LoadError::SpillLimit { .. } | LoadError::Coupons(CorpusError::Spill { .. })) => 7,
            Self::Connect(_) => 3,
            Self::Load(
                LoadError::BadData(_)
                | LoadError::Unreadable(..)
                | LoadError::Coupons(_)
                | LoadError::NoCodes(_)
                | LoadError::NoValidCodes { .. }
                | LoadError::SameFiles { .. }
                | LoadError::TooFewFiles { .. }
                | LoadError::NothingToLoad(..),
            ) => 4,
            Self::Load(LoadError::NotMigrated(_)) => 5,
            Self::Load(LoadError::Lock(LockError::TimedOut { .. })) => 6,
        }
    }
}

struct Job {
    url: DatabaseUrl,
    pepper: Pepper,
    source: Source,
    options: Options,
    wait: Duration,
    json: bool,
    /// Only the codes of coupon files are wanted, on stdout.
    print: bool,
}

impl Job {
    fn new(arguments: &Arguments) -> Result<Self, SettingError> {
        let mut coupons = arguments.coupons.options();
        let mut only = if arguments.only.is_empty() { DataSet::ALL.to_vec() } else { arguments.only.clone() };
        let (mut source, mut prints) = (arguments.source.source(), false);
        if let Some(Command::Coupons { files, min_files, print }) = &arguments.command {
            (source, only, prints) = (Source::CouponFiles(files.clone()), vec![DataSet::Coupons], *print);
            coupons.min_files = *min_files;
        }
        Ok(Self {
            url: arguments.database.url()?,
            pepper: arguments.pepper.pepper()?,
            source,
            options: Options {
                only,
                dry_run: arguments.dry_run,
                force: arguments.force,
                allow_empty: arguments.allow_empty,
                lock_wait: Duration::from_secs(arguments.lock_wait_seconds),
                coupons,
            },
            wait: Duration::from_secs(arguments.wait_seconds),
            json: arguments.json,
            print: prints,
        })
    }
}

fn main() -> ExitCode {
    let arguments: Arguments = match settings::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(refusal) => return refusal.report("database-load"),
    };
    let job = match Job::new(&arguments) {
        Ok(job) => job,
        Err(error) => return Refusal::from(error).report("database-load"),
    };
    let stream = if job.json || job.print { LogStream::Stderr } else { LogStream::Stdout };
    let service = Service { name: "database-load", version: env!("CARGO_PKG_VERSION") };
    let telemetry = Telemetry::start(service, &arguments.telemetry, stream);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run(job, telemetry));
    // Reading a large file is not waited for.
    runtime.shutdown_background();
    code
}

/// The job, as one trace, and the end of telemetry.
async fn run(job: Job, telemetry: Telemetry) -> ExitCode {
    let mut signals = match StopSignals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "cannot listen for signals");
            return ExitCode::FAILURE;
        }
    };
    let root = telemetry.tracing().root(None, || telemetry::root_span!("dataload.execute"));
    let span = root.as_ref().map_or_else(tracing::Span::none, |root| root.span.clone());
    let (code, failure) = work(job, &mut signals).instrument(span).await;
    if let Some(root) = root {
        root.finish(code, failure);
    }
    ExitCode::from(telemetry.end(signals).await.map_or(code, StopSignal::exit_code))
}

/// The exit code, and what went wrong.
async fn work(job: Job, signals: &mut StopSignals) -> (u8, Option<String>) {
    let started = Instant::now();
    let canceller = Arc::new(OnceLock::new());
    // On a thread of its own: the runtime's one listens for signals also while files are read and parsed.
    let (runtime, loads) = (tokio::runtime::Handle::current(), canceller.clone());
    let span = tracing::Span::current();
    let work = tokio::task::spawn_blocking(move || {
        let _inside = span.enter();
        runtime.block_on(load(job, loads).in_current_span())
    });
    let outcome = tokio::select! {
        outcome = work => outcome.unwrap_or_else(|panic| Err(Failure::Panicked(panic))),
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
            let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(duration_ms, "done");
            (0, None)
        }
        Err(failure) => {
            let cause = failure.source().map(telemetry::causes);
            tracing::error!(cause, exit_code = failure.exit_code(), "{failure}");
            (failure.exit_code(), Some(failure.to_string()))
        }
    }
}

async fn load(job: Job, canceller: Arc<OnceLock<Canceller>>) -> Result<(), Failure> {
    let Job { url, pepper, source, options, .. } = &job;
    if let (Source::CouponFiles(files), true) = (source, job.print) {
        return match print::codes(find_coupons(files, &options.coupons)?, job.json) {
            // Whoever reads has seen enough.
            Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            printed => printed,
        };
    }
    let mut session = Session::open_existing(url, "database-load", Access::Write, job.wait).await?;
    let _ = canceller.set(session.canceller());
    let load = Load { url, source, pepper, clock: &SystemClock, options };
    let summaries = load.run(&mut session.connection).await?;
    report(&summaries, job.json)?;
    session.close().await;
    Ok(())
}

fn report(summaries: &[Summary], json: bool) -> Result<(), io::Error> {
    for summary in summaries {
        let counts = &summary.counts;
        tracing::info!(
            outcome = ?summary.outcome,
            read = counts.read,
            added = counts.added,
            changed = counts.changed,
            retired = counts.retired,
            unchanged = counts.unchanged,
            not_owned = counts.not_owned,
            duration_ms = summary.duration_ms,
            "{}",
            summary.data_set.name(),
        );
    }
    if json {
        serde_json::to_writer_pretty(io::stdout(), summaries)?;
        writeln!(io::stdout())?;
    }
    Ok(())
}
