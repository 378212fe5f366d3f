//! Reads all files once. Each file is read by one thread. When there are no more files than threads, threads without a
//! file of their own take text from the others.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender};

use crate::decode::{Decoder, Inflate};
use crate::digest::{Settings, all};
use crate::partition::{Partitions, Piles};
use crate::progress::Progress;
use crate::scan::{Scanner, Tally, Unscanned};
use crate::source::Counted;
use crate::{Binary, CorpusError, CouponSource};

/// The amount of text taken from a file at a time. It stays in a core's cache, with the buffers it is written to.
const CHUNK_BYTES: usize = 256 * 1024;
/// No line of a coupon file comes near this.
pub(crate) const MAX_LINE_BYTES: usize = 1024 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whole lines of a file.
struct Chunk {
    file: u16,
    /// The position in the text of the file at which the lines begin.
    offset: u64,
    buffer: Vec<u8>,
    bytes: usize,
}

/// The reading of all files.
pub(crate) struct Reading<'r> {
    names: Vec<String>,
    /// Files that no thread reads yet, the largest last.
    waiting: Mutex<Vec<(u16, CouponSource)>>,
    scanner: Scanner,
    inflate: Inflate,
    progress: &'r Progress,
    /// Threads that have no file and wait for chunks.
    idle: AtomicUsize,
    /// Set when a thread has failed, so that the others stop.
    has_failed: AtomicBool,
}

impl<'r> Reading<'r> {
    pub(crate) fn new(sources: Vec<CouponSource>, settings: &Settings, progress: &'r Progress) -> Self {
        let names = sources.iter().map(|source| source.name.clone()).collect();
        let mut waiting: Vec<_> = (0..).zip(sources).collect();
        waiting.sort_by_key(|(_, source)| source.size_bytes);
        Self {
            names,
            waiting: Mutex::new(waiting),
            scanner: Scanner::new(settings.rule),
            inflate: settings.inflate,
            progress,
            idle: AtomicUsize::new(0),
            has_failed: AtomicBool::new(false),
        }
    }

    pub(crate) fn run<'s>(
        &self,
        threads: usize,
        partitions: impl Fn() -> Partitions<'s> + Sync,
    ) -> Result<(Vec<Piles>, Tally), CorpusError> {
        let (give, take) = crossbeam_channel::bounded(threads);
        // Each reader has a sender of its own. When the last reader is done, threads waiting for chunks are done, too.
        let senders = Mutex::new(vec![give; threads]);
        let worked = all(threads, || {
            let give = senders.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut worker = Worker { reading: self, codes: partitions(), tally: Tally::default() };
            // `give` is dropped before helping: a thread that waits for chunks must not be one that others wait for.
            let outcome = give
                .map_or(Ok(()), |give| worker.read_files(&give))
                .and_then(|()| worker.help(&take))
                .and_then(|()| Ok((worker.codes.finish()?, worker.tally)));
            if outcome.is_err() {
                self.has_failed.store(true, Ordering::Relaxed);
            }
            outcome
        });
        let mut tally = Tally::default();
        let mut piles = Vec::new();
        for (pile, part) in worked? {
            tally.lines += part.lines;
            tally.malformed_lines += part.malformed_lines;
            piles.push(pile);
        }
        Ok((piles, tally))
    }

    fn next_file(&self) -> Option<(u16, CouponSource)> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

struct Worker<'w, 's> {
    reading: &'w Reading<'w>,
    codes: Partitions<'s>,
    tally: Tally,
}

impl Worker<'_, '_> {
    fn read_files(&mut self, give: &Sender<Chunk>) -> Result<(), CorpusError> {
        while let Some((file, source)) = self.reading.next_file() {
            self.read_file(file, source, give)?;
        }
        Ok(())
    }

    /// Scans chunks of other threads until there are no more.
    fn help(&mut self, take: &Receiver<Chunk>) -> Result<(), CorpusError> {
        self.reading.idle.fetch_add(1, Ordering::Relaxed);
        for chunk in take {
            self.scan(&chunk)?;
        }
        Ok(())
    }

    fn read_file(
        &mut self,
        file: u16,
        source: CouponSource,
        give: &Sender<Chunk>,
    ) -> Result<(), CorpusError> {
        let CouponSource { name, content, .. } = source;
        let content = Counted::new(content, &self.reading.progress.bytes_read);
        let position = content.position();
        let mut decoder = Decoder::new(Box::new(content), self.reading.inflate);
        let mut buffer = vec![0; CHUNK_BYTES];
        let (mut filled, mut text_bytes, mut is_first) = (0, 0_u64, true);
        loop {
            if self.reading.has_failed.load(Ordering::Relaxed) {
                return Err(CorpusError::Cancelled);
            }
            self.reading.progress.check()?;
            if filled == buffer.len() {
                if filled > MAX_LINE_BYTES {
                    if let Some(at) = memchr::memchr(Binary::NUL, &buffer[..filled]) {
                        return Err(binary(name, text_bytes + at as u64, Binary::Nul));
                    }
                    return Err(CorpusError::LineTooLong { name, offset: text_bytes });
                }
                buffer.resize((filled * 2).min(MAX_LINE_BYTES + 1), 0);
            }
            let read = decoder.read(&mut buffer[filled..]);
            let read = read.map_err(|cause| CorpusError::Unreadable {
                name: name.clone(),
                offset: position.load(Ordering::Relaxed),
                cause,
            })?;
            let is_end = read == 0;
            filled += read;
            if !is_end && filled < buffer.len() {
                continue;
            }
            if is_first && let Some(what) = Binary::beginning(&buffer[..filled]) {
                return Err(binary(name, 0, what));
            }
            if is_first && buffer[..filled].starts_with(BYTE_ORDER_MARK) {
                buffer.copy_within(BYTE_ORDER_MARK.len()..filled, 0);
                filled -= BYTE_ORDER_MARK.len();
            }
            if is_first && is_end && filled == 0 {
                return Err(CorpusError::Empty(name));
            }
            is_first = false;
            let whole = if is_end {
                filled
            } else {
                memchr::memrchr(b'\n', &buffer[..filled]).map_or(0, |end| end + 1)
            };
            if whole > 0 {
                let chunk = Chunk { file, offset: text_bytes, buffer, bytes: whole };
                buffer = self.pass_on(chunk, filled, give)?;
                (filled, text_bytes) = (filled - whole, text_bytes + whole as u64);
            }
            if is_end {
                return Ok(());
            }
        }
    }

    /// Gives the chunk to an idle thread, or else scans it here. Returns a buffer that begins with the text after it.
    fn pass_on(&mut self, chunk: Chunk, filled: usize, give: &Sender<Chunk>) -> Result<Vec<u8>, CorpusError> {
        let rest = chunk.bytes..filled;
        let mut chunk = chunk;
        if self.reading.idle.load(Ordering::Relaxed) > 0 {
            let mut next = vec![0; chunk.buffer.len()];
            next[..rest.len()].copy_from_slice(&chunk.buffer[rest.clone()]);
            match give.try_send(chunk) {
                Ok(()) => return Ok(next),
                Err(refused) => chunk = refused.into_inner(),
            }
        }
        self.scan(&chunk)?;
        chunk.buffer.copy_within(rest, 0);
        Ok(chunk.buffer)
    }

    fn scan(&mut self, chunk: &Chunk) -> Result<(), CorpusError> {
        let text = &chunk.buffer[..chunk.bytes];
        let scanned = self.reading.scanner.scan(text, chunk.file, &mut self.codes);
        let tally = scanned.map_err(|unscanned| match unscanned {
            Unscanned::Failed(error) => error,
            Unscanned::Nul(at) => {
                let name = self.reading.names[usize::from(chunk.file)].clone();
                binary(name, chunk.offset + at as u64, Binary::Nul)
            }
        })?;
        self.tally.lines += tally.lines;
        self.tally.malformed_lines += tally.malformed_lines;
        let progress = self.reading.progress;
        progress.record_lines(tally.lines);
        progress.record_spilled(self.codes.spilled_bytes());
        Ok(())
    }
}

const fn binary(name: String, offset: u64, what: Binary) -> CorpusError {
    CorpusError::Binary { name, offset, what }
}
