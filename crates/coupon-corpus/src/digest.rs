//! The whole digest: it reads all files, then compares the partitions.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::class::Class;
use crate::decode::Inflate;
use crate::likeness::{self, Likeness};
use crate::matching::Matching;
use crate::partition::{Partitions, Piles, Store};
use crate::progress::Progress;
use crate::reading::{MAX_LINE_BYTES, Reading};
use crate::results::{Codes, Collector};
use crate::scan::Tally;
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

    let places: Vec<_> = classes
        .iter()
        .enumerate()
        .flat_map(|(at, class)| (0..class.partitions).map(move |partition| (class, (at, partition))))
        .collect();
    let codes_by_file = codes_by_file(&piles, &places, files);
    let matching = Matching {
        store: &store,
        piles: &piles,
        files,
        min_files: settings.min_files,
        table_bytes: plan.table_bytes,
    };
    let collector = Mutex::new(Collector::new(&store.spill, plan.results_bytes));
    let next = AtomicUsize::new(0);
    let seen = all(settings.threads.get(), || {
        let mut likeness = Likeness::new(files, codes_by_file.iter().sum());
        while let Some((class, at)) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
            progress.check()?;
            matching.run(class, *at, &mut likeness, |code, files| {
                collector.lock().unwrap_or_else(PoisonError::into_inner).add(code, files)
            })?;
            progress.record_spilled(store.spill.bytes());
        }
        Ok(likeness)
    })?;
    let (same, contained) = likeness::conclude(&seen);
    let (count, found, runs) = collector.into_inner().unwrap_or_else(PoisonError::into_inner).finish();
    drop(piles);
    let codes = Codes::new(store.spill, count, found, runs);
    let Tally { lines, malformed_lines } = tally;
    Ok(Corpus { codes, codes_by_file, same, contained, lines, malformed_lines })
}

/// Counts the lines of each file that are codes.
fn codes_by_file(piles: &[Piles], places: &[(&Class, (usize, usize))], files: usize) -> Vec<u64> {
    let mut codes = vec![0; files];
    for (_, (class, partition)) in places {
        for piles in piles {
            piles.count(*class, *partition, &mut codes);
        }
    }
    codes
}

/// Runs the same on so many threads. What made one of them fail is everybody's failure; that the others stopped because
/// of it is none.
pub(crate) fn all<T: Send>(
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
