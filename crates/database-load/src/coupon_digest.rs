//! Reading coupon files, and saying how far it is.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use coupon_corpus::{Corpus, Progress, Settings, digest};

use crate::coupon_copies;
use crate::coupon_files::{self, CouponFile};
use crate::{CouponOptions, Interruption, LoadError};

/// Finds the codes in files, and in the files of folders, without a database.
pub fn find_coupons(
    paths: &[PathBuf],
    options: &CouponOptions,
    interruption: &Interruption,
) -> Result<Corpus, LoadError> {
    read(&coupon_files::named(paths)?, options, interruption)
}

/// Reads the files.
pub(crate) fn read(
    files: &[CouponFile],
    options: &CouponOptions,
    interruption: &Interruption,
) -> Result<Corpus, LoadError> {
    let started = Instant::now();
    if files.len() < options.min_files as usize {
        return Err(LoadError::TooFewFiles { files: files.len(), min_files: options.min_files });
    }
    let sources = files.iter().map(CouponFile::source).collect::<Result<Vec<_>, LoadError>>()?;
    let settings = Settings {
        min_files: options.min_files,
        memory_budget_bytes: options.memory_budget.0,
        spill_limit_bytes: options.spill_limit.0,
        ..Settings::default()
    };
    let bytes = sources.iter().map(|source| source.size_bytes).sum();
    tracing::info!(
        files = files.len(),
        bytes,
        memory_budget_bytes = settings.memory_budget_bytes,
        spill_directory = %settings.spill_directory.display(),
        spill_limit_bytes = settings.spill_limit_bytes,
        "reading coupon files; what does not fit into memory goes into a nameless file in the spill directory"
    );
    let progress = interruption.reading();
    let corpus = thread::scope(|scope| {
        let (done, is_done) = channel::<()>();
        let watch = Watch { progress: &progress, bytes, started };
        scope.spawn(move || {
            watch.until(|pause| is_done.recv_timeout(pause) == Err(RecvTimeoutError::Timeout));
        });
        let corpus = digest(sources, &settings, &progress);
        drop(done);
        corpus
    })?;
    if let Some((file, _)) = files.iter().zip(&corpus.codes_by_file).find(|(_, codes)| **codes == 0) {
        return Err(LoadError::NoCodes(file.name()));
    }
    coupon_copies::check(files, &corpus, options)?;
    tracing::info!(
        files = files.len(),
        lines = corpus.lines,
        malformed_lines = corpus.malformed_lines,
        codes = corpus.codes.found(),
        spilled_bytes = progress.spilled_bytes(),
        duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "coupon files read"
    );
    Ok(corpus)
}

/// Says now and then how far it is: on a terminal in a line of its own, elsewhere in the log.
struct Watch<'w> {
    progress: &'w Progress,
    bytes: u64,
    started: Instant,
}

impl Watch<'_> {
    const TERMINAL_PAUSE: Duration = Duration::from_millis(500);
    const LOG_PAUSE: Duration = Duration::from_secs(10);

    /// As long as `goes_on`, which waits for so long.
    fn until(&self, goes_on: impl Fn(Duration) -> bool) {
        let mut terminal = io::stderr();
        if terminal.is_terminal() {
            while goes_on(Self::TERMINAL_PAUSE) {
                let _ = write!(terminal, "\r\x1b[K{}", self.text());
            }
            let _ = write!(terminal, "\r\x1b[K");
        } else {
            while goes_on(Self::LOG_PAUSE) {
                tracing::info!(
                    bytes_read = self.progress.bytes_read(),
                    bytes = self.bytes,
                    lines = self.progress.lines(),
                    spilled_bytes = self.progress.spilled_bytes(),
                    "{}",
                    self.text()
                );
            }
        }
    }

    fn text(&self) -> String {
        let (read, bytes) = (self.progress.bytes_read(), self.bytes.max(1));
        let seconds = self.started.elapsed().as_secs_f64();
        let lines = self.progress.lines();
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let (part, lines_per_second) = (read as f64 / bytes as f64, lines as f64 / seconds);
        let left = if part > 0.0 { seconds / part - seconds } else { 0.0 };
        format!(
            "coupon files: {:.0} % of {} MiB, {lines} lines, {:.1} million lines/s, {left:.0} s left",
            part * 100.0,
            bytes / (1024 * 1024),
            lines_per_second / 1e6,
        )
    }
}
