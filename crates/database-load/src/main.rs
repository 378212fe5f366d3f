//! `database-load`: run before the API as an init container, and again as a CronJob.

mod arguments;
mod failure;
mod print;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use database::settings::{self, Refusal, SettingError};
use database::{Access, Canceller, DatabaseUrl, Session};
use database_load::{
    DataSet, INTERRUPTED, Interruption, Load, LoadError, Options, Source, Summary, find_coupons,
};
use domain::{Pepper, SystemClock};
use telemetry::{LogStream, Service, StopSignal, StopSignals, Telemetry, traces};
use tracing::{Instrument, Span};

use arguments::{Arguments, Command};
use failure::Failure;

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
                interruption: Interruption::default(),
            },
            wait: Duration::from_secs(arguments.wait_seconds),
            json: arguments.json,
            print: prints,
        })
    }

    /// Notes the database on the span of the run, if the run uses one.
    fn describe(&self, span: &Span) {
        if !self.print {
            traces::set(span, "db.system.name", self.url.engine());
            traces::set(span, "db.namespace", self.url.name());
        }
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
    let span = root.as_ref().map_or_else(Span::none, |root| root.span.clone());
    job.describe(&span);
    let End { code, failure } = work(job, &mut signals).instrument(span.clone()).await;
    if let Some(root) = root {
        match failure {
            None => root.finish(code, None),
            Some(Reason::Failed(failure)) => root.finish(code, Some(failure)),
            Some(Reason::Stopped) => {
                traces::fail(&span, INTERRUPTED, "stopped by a signal");
                root.finish(code, None);
            }
        }
    }
    ExitCode::from(telemetry.end(signals).await.map_or(code, StopSignal::exit_code))
}

/// The end of a job: its exit code, and the reason if it was not done.
struct End {
    code: u8,
    failure: Option<Reason>,
}

enum Reason {
    Failed(String),
    Stopped,
}

/// The longest wait for work that was called off. Its spans should end before the program sends them.
const GRACE: Duration = Duration::from_secs(1);

async fn work(job: Job, signals: &mut StopSignals) -> End {
    let started = Instant::now();
    let canceller = Arc::new(OnceLock::new());
    let interruption = job.options.interruption.clone();
    // On a thread of its own: the runtime's one listens for signals also while files are read and parsed.
    let (runtime, loads, is_called_off) =
        (tokio::runtime::Handle::current(), canceller.clone(), interruption.clone());
    let span = Span::current();
    let mut work = tokio::task::spawn_blocking(move || {
        let _inside = span.enter();
        let work = async {
            // A load that waits for the database is dropped when it is called off, and its transaction with it.
            tokio::select! {
                biased;
                outcome = load(job, loads) => outcome,
                () = is_called_off.raised() => Err(LoadError::Interrupted.into()),
            }
        };
        runtime.block_on(work.in_current_span())
    });
    let outcome = tokio::select! {
        outcome = &mut work => outcome.unwrap_or_else(|panic| Err(Failure::Panicked(panic))),
        signal = signals.next() => {
            interruption.raise();
            let cancel = async {
                if let Some(canceller) = canceller.get() {
                    canceller.cancel().await;
                }
            };
            // The outcome makes no difference any more.
            let _ = tokio::join!(cancel, tokio::time::timeout(GRACE, work));
            tracing::warn!(?signal, "stopped; unfinished work is rolled back");
            return End { code: signal.exit_code(), failure: Some(Reason::Stopped) };
        }
    };
    match outcome {
        Ok(()) => {
            let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(duration_ms, "done");
            End { code: 0, failure: None }
        }
        Err(failure) => {
            let (code, cause) = (
                failure.exit_code(),
                failure.source().map(|cause| telemetry::causes(cause, database::words)),
            );
            tracing::error!(cause, exit_code = code, "{failure}");
            End { code, failure: Some(Reason::Failed(failure.to_string())) }
        }
    }
}

async fn load(job: Job, canceller: Arc<OnceLock<Canceller>>) -> Result<(), Failure> {
    let Job { url, pepper, source, options, .. } = &job;
    if let (Source::CouponFiles(files), true) = (source, job.print) {
        return match print::codes(find_coupons(files, &options.coupons, &options.interruption)?, job.json) {
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
