//! The whole way: files are read once, each by one thread as long as there are more files than threads; then threads
//! without a file of their own take text from the others. When all is read, partitions are compared.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crossbeam_channel::{Receiver, Sender};

use crate::class::Class;
use crate::decode::{Decoder, Inflate};
use crate::matching::Matching;
use crate::partition::{Partitions, Piles, Store};
use crate::results::{Codes, Collector};
use crate::scan::{Scanner, Tally};
use crate::source::Counted;
use crate::spill::Spill;
use crate::{Corpus, CorpusError, CouponSource, Rule};

/// How to look for codes.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What is a code.
    pub rule: Rule,
    /// In how many files a code must stand.
    pub min_files: u32,
    /// Memory to use at most, in bytes, whatever the files hold; at least [`Settings::LEAST_BUDGET_BYTES`].
    pub memory_budget_bytes: u64,
    /// Where to put what does not fit.
    pub spill_directory: PathBuf,
    /// How much to put there at most, in bytes.
    pub spill_limit_bytes: u64,
    /// How many threads work at the same time.
    pub threads: NonZeroUsize,
    /// Who takes gzip apart.
    pub inflate: Inflate,
}

impl Settings {
    /// The least memory this can be done with.
    pub const LEAST_BUDGET_BYTES: u64 = 32 * 1024 * 1024;
    /// The most files at a time.
    pub const MOST_FILES: usize = 1024;
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rule: Rule::default(),
            min_files: 2,
            memory_budget_bytes: 512 * 1024 * 1024,
            spill_directory: std::env::temp_dir(),
            spill_limit_bytes: 16 * 1024 * 1024 * 1024,
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            inflate: Inflate::FASTEST,
        }
    }
}

/// How far it is. Others look at it, and may call it off.
#[derive(Debug, Default)]
pub struct Progress {
    bytes_read: AtomicU64,
    lines: AtomicU64,
    spilled_bytes: AtomicU64,
    is_cancelled: AtomicBool,
}

impl Progress {
    /// Bytes of files read so far, as they are on disk.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Lines seen so far.
    pub fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    /// Bytes put into the spill directory so far.
    pub fn spilled_bytes(&self) -> u64 {
        self.spilled_bytes.load(Ordering::Relaxed)
    }

    /// Makes it end soon, with [`CorpusError::Cancelled`].
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> Result<(), CorpusError> {
        if self.is_cancelled.load(Ordering::Relaxed) { Err(CorpusError::Cancelled) } else { Ok(()) }
    }
}

/// Text taken from a file at a time: with the buffers it is written to, it stays in a core's cache.
const CHUNK_BYTES: usize = 256 * 1024;
/// No line of a coupon file comes near this.
pub(crate) const MAX_LINE_BYTES: usize = 1024 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How memory is divided.
struct Plan {
    threads: usize,
    buffer_bytes: usize,
    resident_bytes: u64,
    table_bytes: usize,
    results_bytes: usize,
}

impl Plan {
    /// So many that the ends of their buffers fit into a core's nearest cache.
    const PARTITION_BITS: u32 = 8;

    fn new(settings: &Settings, files: usize) -> Self {
        const MOST_BUFFER_BYTES: usize = 32 * 1024;
        let budget = usize::try_from(settings.memory_budget_bytes).unwrap_or(usize::MAX);
        let cores = settings.threads.get();
        // One more than cores where there are files for it: they end at about the same time, whatever their number.
        let wanted = cores.max(files.min(cores + 1)).min(usize::from(u16::MAX));
        let buffers = settings.rule.lengths().count() << Self::PARTITION_BITS;
        let threads = wanted.min(budget / 4 / (buffers * Spill::PAGE_BYTES)).max(1);
        let buffer_bytes = (budget / 4 / threads / buffers).clamp(Spill::PAGE_BYTES, MOST_BUFFER_BYTES);
        let buffer_bytes = buffer_bytes / Spill::PAGE_BYTES * Spill::PAGE_BYTES;
        // What each thread has beside its buffers: the codes of each partition and file, counted, and text, of which a
        // line may be long.
        let counted_bytes = (buffers * files) * size_of::<u32>();
        let text_bytes = 3 * MAX_LINE_BYTES;
        let resident_bytes = (budget / 8 * 3).saturating_sub(threads * (counted_bytes + text_bytes));
        // Buffers are given back before tables and results are made.
        Self {
            threads,
            buffer_bytes,
            resident_bytes: resident_bytes as u64,
            table_bytes: budget / 4 / cores,
            results_bytes: budget / 16,
        }
    }
}

/// Finds the codes that stand in at least `settings.min_files` of the sources.
///
/// # Errors
///
/// If a source cannot be read to its end as lines of text, or there is no room for what does not fit into memory.
pub fn digest(
    sources: Vec<CouponSource>,
    settings: &Settings,
    progress: &Progress,
) -> Result<Corpus, CorpusError> {
    if sources.len() > Settings::MOST_FILES {
        return Err(CorpusError::TooManyFiles { files: sources.len() });
    }
    let files = sources.len();
    let plan = Plan::new(settings, files);
    let spill_files = u16::try_from(plan.threads).unwrap_or(u16::MAX);
    let spill = Spill::new(settings.spill_directory.clone(), settings.spill_limit_bytes, spill_files);
    let store = Store::new(spill, plan.resident_bytes);
    let classes: Vec<_> =
        settings.rule.lengths().map(|length| Class::new(length, Plan::PARTITION_BITS)).collect();

    let reading = Reading::new(sources, settings, progress);
    let spill_file = AtomicU16::new(0);
    let partitions = || {
        let spill_file = spill_file.fetch_add(1, Ordering::Relaxed);
        Partitions::new(&store, &classes, files, plan.buffer_bytes, spill_file)
    };
    let (piles, tally) = reading.run(plan.threads, partitions)?;

    let matching = Matching {
        store: &store,
        piles: &piles,
        files,
        min_files: settings.min_files,
        table_bytes: plan.table_bytes,
    };
    let collector = Mutex::new(Collector::new(&store.spill, plan.results_bytes));
    let places: Vec<_> = classes
        .iter()
        .enumerate()
        .flat_map(|(at, class)| (0..class.partitions).map(move |partition| (class, (at, partition))))
        .collect();
    let next = AtomicUsize::new(0);
    all(settings.threads.get(), || {
        while let Some((class, at)) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
            progress.check()?;
            matching.run(class, *at, |code, files| {
                collector.lock().unwrap_or_else(PoisonError::into_inner).add(code, files)
            })?;
            progress.spilled_bytes.store(store.spill.bytes(), Ordering::Relaxed);
        }
        Ok(())
    })?;
    let (count, found, runs) = collector.into_inner().unwrap_or_else(PoisonError::into_inner).finish();
    let mut codes_by_file = vec![0; files];
    for (_, (class, partition)) in &places {
        for piles in &piles {
            piles.count(*class, *partition, &mut codes_by_file);
        }
    }
    drop(piles);
    let codes = Codes::new(store.spill, count, found, runs);
    Ok(Corpus { codes, codes_by_file, lines: tally.lines, malformed_lines: tally.malformed_lines })
}

/// Runs the same on so many threads. What made one of them fail is everybody's failure; that the others stopped because
/// of it is none.
fn all<T: Send>(
    threads: usize,
    work: impl Fn() -> Result<T, CorpusError> + Sync,
) -> Result<Vec<T>, CorpusError> {
    let mut done = Vec::new();
    let mut failure = None;
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(&work)).collect();
        for thread in running {
            match thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
                Ok(result) => done.push(result),
                Err(CorpusError::Cancelled) if failure.is_some() => {}
                Err(cause) => failure = Some(cause),
            }
        }
    });
    failure.map_or(Ok(done), Err)
}

/// Whole lines of a file.
struct Chunk {
    file: u16,
    buffer: Vec<u8>,
    bytes: usize,
}

/// The reading of all files.
struct Reading<'r> {
    /// Files that nobody reads yet, the largest last.
    waiting: Mutex<Vec<(u16, CouponSource)>>,
    scanner: Scanner,
    inflate: Inflate,
    progress: &'r Progress,
    /// Threads that have no file and wait for chunks.
    idle: AtomicUsize,
    /// Set when one has failed: the others need not go on.
    has_failed: AtomicBool,
}

impl<'r> Reading<'r> {
    fn new(sources: Vec<CouponSource>, settings: &Settings, progress: &'r Progress) -> Self {
        let mut waiting: Vec<_> = (0..).zip(sources).collect();
        waiting.sort_by_key(|(_, source)| source.size_bytes);
        Self {
            waiting: Mutex::new(waiting),
            scanner: Scanner::new(settings.rule),
            inflate: settings.inflate,
            progress,
            idle: AtomicUsize::new(0),
            has_failed: AtomicBool::new(false),
        }
    }

    fn run<'s>(
        &self,
        threads: usize,
        partitions: impl Fn() -> Partitions<'s> + Sync,
    ) -> Result<(Vec<Piles>, Tally), CorpusError> {
        let (give, take) = crossbeam_channel::bounded(threads);
        // Each reader has a sender of its own: when the last one is done, those who wait for chunks are, too.
        let senders = Mutex::new(vec![give; threads]);
        let worked = all(threads, || {
            let give = senders.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut worker = Worker { reading: self, codes: partitions(), tally: Tally::default() };
            // Dropped before helping: whoever waits for chunks must not be one of those who are waited for.
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

    /// Takes chunks of others until there are none.
    fn help(&mut self, take: &Receiver<Chunk>) -> Result<(), CorpusError> {
        self.reading.idle.fetch_add(1, Ordering::Relaxed);
        for Chunk { file, buffer, bytes } in take {
            self.scan(file, &buffer[..bytes])?;
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
                buffer = self.pass_on(Chunk { file, buffer, bytes: whole }, filled, give)?;
                (filled, text_bytes) = (filled - whole, text_bytes + whole as u64);
            }
            if is_end {
                return Ok(());
            }
        }
    }

    /// Gives the chunk to somebody idle, or else sees to it here. Returns a buffer that begins with what came after it.
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
        self.scan(chunk.file, &chunk.buffer[..chunk.bytes])?;
        chunk.buffer.copy_within(rest, 0);
        Ok(chunk.buffer)
    }

    fn scan(&mut self, file: u16, text: &[u8]) -> Result<(), CorpusError> {
        let tally = self.reading.scanner.scan(text, file, &mut self.codes)?;
        self.tally.lines += tally.lines;
        self.tally.malformed_lines += tally.malformed_lines;
        let progress = self.reading.progress;
        progress.lines.fetch_add(tally.lines, Ordering::Relaxed);
        progress.spilled_bytes.store(self.codes.spilled_bytes(), Ordering::Relaxed);
        Ok(())
    }
}
