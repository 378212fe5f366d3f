//! Log lines leave on a thread of their own, so that no request waits for whoever reads them.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use crate::LogStream;

/// Where lines are put. Full, it drops lines below warnings and counts them; warnings wait for their turn.
#[derive(Clone)]
pub(crate) struct LogWriter {
    lines: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

enum Message {
    Line(Vec<u8>),
    Flush(Sender<()>),
}

/// Sees to it that what was logged is written before the process ends.
pub struct LogGuard(Option<SyncSender<Message>>);

impl LogWriter {
    /// Lines that wait at most; some 16 MiB.
    const CAPACITY: usize = 65_536;
    /// Lines written in one go.
    const BATCH_BYTES: usize = 64 * 1024;

    /// Starts the thread.
    pub(crate) fn start(stream: LogStream) -> io::Result<(Self, LogGuard)> {
        let (sender, lines) = sync_channel(Self::CAPACITY);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = dropped.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || write_lines(&lines, stream, &counted))?;
        Ok((Self { lines: sender.clone(), dropped }, LogGuard(Some(sender))))
    }
}

impl LogWriter {
    fn line(&self, may_be_dropped: bool) -> Line<'_> {
        Line { writer: self, bytes: Vec::with_capacity(384), may_be_dropped }
    }
}

impl LogGuard {
    /// Longer than any healthy reader of a log takes.
    const FLUSH_DEADLINE: Duration = Duration::from_secs(2);

    /// Nothing to see to.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// Waits until everything logged so far is written, but not for ever.
    pub fn flush(&self) {
        let Some(lines) = &self.0 else { return };
        let (done, written) = channel();
        if lines.try_send(Message::Flush(done)).is_ok() {
            let _ = written.recv_timeout(Self::FLUSH_DEADLINE);
        }
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.flush();
    }
}

fn write_lines(lines: &Receiver<Message>, stream: LogStream, dropped: &AtomicU64) {
    let mut out: Box<dyn Write> = match stream {
        LogStream::Stdout => Box::new(io::stdout()),
        LogStream::Stderr => Box::new(io::stderr()),
    };
    let mut buffer = Vec::with_capacity(2 * LogWriter::BATCH_BYTES);
    while let Ok(message) = lines.recv() {
        let mut flushes = Vec::new();
        let mut next = Some(message);
        while let Some(message) = next {
            match message {
                Message::Line(line) => buffer.extend_from_slice(&line),
                Message::Flush(done) => flushes.push(done),
            }
            next = if buffer.len() < LogWriter::BATCH_BYTES { lines.try_recv().ok() } else { None };
        }
        match dropped.swap(0, Ordering::Relaxed) {
            0 => {}
            count => {
                let line =
                    format!("{{\"level\":\"WARN\",\"message\":\"log lines dropped\",\"dropped\":{count}}}\n");
                buffer.extend_from_slice(line.as_bytes());
            }
        }
        // A log that nobody takes is no reason to stop serving.
        let _ = out.write_all(&buffer).and_then(|()| out.flush());
        buffer.clear();
        for done in flushes {
            let _ = done.send(());
        }
    }
}

/// One line under way.
pub(crate) struct Line<'w> {
    writer: &'w LogWriter,
    bytes: Vec<u8>,
    may_be_dropped: bool,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let line = Message::Line(std::mem::take(&mut self.bytes));
        if !self.may_be_dropped {
            let _ = self.writer.lines.send(line);
        } else if let Err(TrySendError::Full(_)) = self.writer.lines.try_send(line) {
            self.writer.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        self.line(false)
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line<'a> {
        // In tracing's order, more severe is less.
        self.line(*metadata.level() > Level::WARN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(capacity: usize) -> (LogWriter, Receiver<Message>) {
        let (lines, receiver) = sync_channel(capacity);
        (LogWriter { lines, dropped: Arc::new(AtomicU64::new(0)) }, receiver)
    }

    #[test]
    fn a_full_queue_drops_ordinary_lines_and_counts_them() {
        let (writer, lines) = writer(2);
        for _ in 0..5 {
            writer.line(true).write_all(b"access\n").unwrap();
        }
        assert_eq!(writer.dropped.load(Ordering::Relaxed), 3);
        assert_eq!(lines.try_iter().count(), 2);
    }

    #[test]
    fn a_warning_waits_for_its_turn() {
        let (writer, lines) = writer(1);
        let reader = thread::spawn(move || lines.iter().count());
        for _ in 0..100 {
            writer.make_writer().write_all(b"warning\n").unwrap();
        }
        assert_eq!(writer.dropped.load(Ordering::Relaxed), 0);
        drop(writer);
        assert_eq!(reader.join().unwrap(), 100);
    }
}
