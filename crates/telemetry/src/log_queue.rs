//! Log lines leave on a thread of their own, so that no request waits for whoever reads them.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use crate::LogStream;

/// Where lines are put. Full, it drops lines below warnings and counts them; warnings wait a while for space.
#[derive(Clone)]
pub(crate) struct LogWriter(Arc<LogQueue>);

/// Sees to it that what was logged is written before the process ends.
pub struct LogGuard(Option<Arc<LogQueue>>);

#[derive(Default)]
struct LogQueue {
    lines: Mutex<Lines>,
    /// There is something to write.
    arrived: Condvar,
    /// Something was written.
    written: Condvar,
    warnings: AtomicU64,
    errors: AtomicU64,
    dropped: AtomicU64,
}

/// How many lines were logged.
#[derive(Clone, Default)]
pub struct LogCounts(Option<Arc<LogQueue>>);

impl LogCounts {
    fn read(&self, counter: impl Fn(&LogQueue) -> &AtomicU64) -> u64 {
        self.0.as_ref().map_or(0, |queue| counter(queue).load(Ordering::Relaxed))
    }

    /// Of level WARN.
    pub fn warnings(&self) -> u64 {
        self.read(|queue| &queue.warnings)
    }

    /// Of level ERROR.
    pub fn errors(&self) -> u64 {
        self.read(|queue| &queue.errors)
    }

    /// Those that nobody took in time.
    pub fn dropped(&self) -> u64 {
        self.read(|queue| &queue.dropped)
    }
}

#[derive(Default)]
struct Lines {
    waiting: Vec<u8>,
    dropped: u64,
    /// Bytes ever put in, and ever written.
    total_in: u64,
    total_out: u64,
}

impl LogQueue {
    /// Bytes that wait at most.
    const CAPACITY_BYTES: usize = 16 * 1024 * 1024;
    /// Between two writes: under load, lines are written in bundles and nobody wakes the thread for each.
    const PAUSE: Duration = Duration::from_millis(5);
    /// How long a warning waits for space. Whoever reads the log is gone then.
    const SPACE_DEADLINE: Duration = Duration::from_secs(1);

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, line: &[u8], level: Level) {
        let may_be_dropped = match level {
            Level::ERROR => {
                self.errors.fetch_add(1, Ordering::Relaxed);
                false
            }
            Level::WARN => {
                self.warnings.fetch_add(1, Ordering::Relaxed);
                false
            }
            _ => true,
        };
        let mut lines = self.lock();
        if lines.waiting.len() + line.len() > Self::CAPACITY_BYTES && !may_be_dropped {
            let is_full = |lines: &mut Lines| lines.waiting.len() + line.len() > Self::CAPACITY_BYTES;
            let waited = self.written.wait_timeout_while(lines, Self::SPACE_DEADLINE, is_full);
            (lines, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        if lines.waiting.len() + line.len() > Self::CAPACITY_BYTES {
            lines.dropped += 1;
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_empty = lines.waiting.is_empty();
        lines.waiting.extend_from_slice(line);
        lines.total_in += line.len() as u64;
        drop(lines);
        if was_empty {
            self.arrived.notify_one();
        }
    }

    fn write_for_ever(&self, out: &mut dyn Write) {
        let mut bundle = Vec::new();
        loop {
            let lines = self.arrived.wait_while(self.lock(), |lines| lines.waiting.is_empty());
            let mut lines = lines.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut lines.waiting, &mut bundle);
            let dropped = std::mem::take(&mut lines.dropped);
            drop(lines);
            let bytes = bundle.len() as u64;
            if dropped > 0 {
                let timestamp = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
                let line = format!(
                    "{{\"timestamp\":\"{timestamp}\",\"level\":\"WARN\",\"message\":\"log lines dropped\",\
                     \"dropped\":{dropped},\"target\":\"telemetry::writer\"}}\n"
                );
                bundle.extend_from_slice(line.as_bytes());
            }
            // A log that nobody takes is no reason to stop serving.
            let _ = out.write_all(&bundle).and_then(|()| out.flush());
            bundle.clear();
            self.lock().total_out += bytes;
            self.written.notify_all();
            thread::sleep(Self::PAUSE); // ok: bundles lines; whoever waits for a flush waits no longer than this
        }
    }

    fn flush(&self, deadline: Duration) {
        let end = Instant::now() + deadline;
        let lines = self.lock();
        let target = lines.total_in;
        let left = end.saturating_duration_since(Instant::now());
        let _ = self.written.wait_timeout_while(lines, left, |lines| lines.total_out < target);
    }
}

impl LogWriter {
    /// Adds a line.
    pub(crate) fn put(&self, line: &[u8], level: Level) {
        self.0.put(line, level);
    }

    /// Starts the thread.
    pub(crate) fn start(stream: LogStream) -> io::Result<(Self, LogGuard)> {
        let queue = Arc::new(LogQueue::default());
        let writing = queue.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || match stream {
            LogStream::Stdout => writing.write_for_ever(&mut io::stdout()),
            LogStream::Stderr => writing.write_for_ever(&mut io::stderr()),
        })?;
        Ok((Self(queue.clone()), LogGuard(Some(queue))))
    }
}

impl LogGuard {
    /// Nothing to see to.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// Waits until what was logged is written, or the deadline has passed.
    pub(crate) fn flush(&self, deadline: Duration) {
        if let Some(queue) = &self.0 {
            queue.flush(deadline);
        }
    }

    /// Counts of what was logged.
    pub(crate) fn counts(&self) -> LogCounts {
        LogCounts(self.0.clone())
    }
}

/// One line under way; it arrives in one piece.
pub(crate) struct Line<'w> {
    queue: &'w LogQueue,
    level: Level,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.queue.put(bytes, self.level);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { queue: &self.0, level: Level::WARN }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line<'a> {
        Line { queue: &self.0, level: *metadata.level() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Writes nothing until it is told to.
    struct Blocked(Sender<Vec<u8>>);

    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_queue_drops_ordinary_lines_and_says_so() {
        let queue = Arc::new(LogQueue::default());
        let line = vec![b'x'; 1024 * 1024];
        for _ in 0..20 {
            queue.put(&line, Level::INFO);
        }
        let lines = queue.lock();
        assert_eq!((lines.waiting.len(), lines.dropped), (16 * 1024 * 1024, 4));
        drop(lines);
        let (written, lines) = channel();
        let writing = queue.clone();
        thread::spawn(move || writing.write_for_ever(&mut Blocked(written)));
        // A warning waits for the space that the first write makes.
        queue.put(b"warning\n", Level::WARN);
        queue.flush(Duration::from_secs(5));
        let all: Vec<u8> = lines.try_iter().flatten().collect();
        assert!(String::from_utf8_lossy(&all).contains("\"dropped\":4"));
        assert!(all.ends_with(b"warning\n"));
    }
}
