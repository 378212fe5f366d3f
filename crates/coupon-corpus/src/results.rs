//! The codes found, sorted, however many: in memory as far as they fit, the rest as sorted runs in the spill file.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fmt;

use crate::CorpusError;
use crate::code::Code;
use crate::spill::{Block, Spill};

/// On disk: the symbols of a code and its number of files.
const ENTRY_BYTES: usize = 10;
/// Entries read back at a time, for each run: few, since there may be many runs.
const BLOCK_ENTRIES: usize = 2 * Spill::PAGE_BYTES / ENTRY_BYTES;

/// The spill file of results; one thread at a time adds to them.
const SPILL_FILE: u16 = 0;

/// Takes codes in any order.
pub(crate) struct Collector<'s> {
    spill: &'s Spill,
    most_in_memory: usize,
    found: Vec<(Code, u16)>,
    count: u64,
    runs: Vec<Vec<Block>>,
}

impl<'s> Collector<'s> {
    pub(crate) fn new(spill: &'s Spill, memory_bytes: usize) -> Self {
        let most_in_memory = (memory_bytes / size_of::<(Code, u16)>()).max(BLOCK_ENTRIES);
        Self { spill, most_in_memory, found: Vec::new(), count: 0, runs: Vec::new() }
    }

    pub(crate) fn add(&mut self, code: Code, files: u16) -> Result<(), CorpusError> {
        self.count += 1;
        if self.found.len() == self.found.capacity() {
            // Doubled, it must not be more than there is room for.
            let wanted = (self.found.len() * 2).clamp(BLOCK_ENTRIES, self.most_in_memory);
            self.found.reserve_exact(wanted - self.found.len());
        }
        self.found.push((code, files));
        if self.found.len() >= self.most_in_memory {
            self.spill_run()?;
        }
        Ok(())
    }

    fn spill_run(&mut self) -> Result<(), CorpusError> {
        self.found.sort_unstable();
        let mut blocks = Vec::new();
        let mut bytes = Vec::with_capacity(BLOCK_ENTRIES * ENTRY_BYTES);
        for entries in self.found.chunks(BLOCK_ENTRIES) {
            bytes.clear();
            for (code, files) in entries {
                bytes.extend_from_slice(&code.symbols().to_le_bytes());
                bytes.extend_from_slice(&files.to_le_bytes());
            }
            blocks.push(self.spill.append(SPILL_FILE, &bytes, bytes.len())?);
        }
        // Read from the end.
        blocks.reverse();
        self.runs.push(blocks);
        self.found.clear();
        Ok(())
    }

    /// What was found, in memory and in the file.
    pub(crate) fn finish(mut self) -> (u64, Vec<(Code, u16)>, Vec<Vec<Block>>) {
        self.found.sort_unstable();
        self.found.shrink_to_fit();
        (self.count, self.found, self.runs)
    }
}

/// Codes in the order of their text, each with the number of files it stands in. An item is an error if the spill file
/// cannot be read.
pub struct Codes {
    spill: Spill,
    count: u64,
    runs: Vec<Run>,
    /// The next entry of each run.
    next: BinaryHeap<Reverse<(Code, u16, usize)>>,
    failure: Option<CorpusError>,
}

struct Run {
    entries: std::vec::IntoIter<(Code, u16)>,
    blocks: Vec<Block>,
}

impl Codes {
    pub(crate) fn new(spill: Spill, count: u64, found: Vec<(Code, u16)>, runs: Vec<Vec<Block>>) -> Self {
        let in_memory = Run { entries: found.into_iter(), blocks: Vec::new() };
        let in_file = runs.into_iter().map(|blocks| Run { entries: Vec::new().into_iter(), blocks });
        let mut codes = Self {
            spill,
            count,
            runs: std::iter::once(in_memory).chain(in_file).collect(),
            next: BinaryHeap::new(),
            failure: None,
        };
        for run in 0..codes.runs.len() {
            match codes.advance(run) {
                Ok(Some((code, files))) => codes.next.push(Reverse((code, files, run))),
                Ok(None) => {}
                Err(failure) => codes.failure = Some(failure),
            }
        }
        codes
    }

    /// How many were found, those included that were taken already.
    pub const fn found(&self) -> u64 {
        self.count
    }

    fn advance(&mut self, run: usize) -> Result<Option<(Code, u16)>, CorpusError> {
        let run = &mut self.runs[run];
        if let Some(entry) = run.entries.next() {
            return Ok(Some(entry));
        }
        let Some(block) = run.blocks.pop() else { return Ok(None) };
        let mut bytes = Vec::new();
        self.spill.read(block, &mut bytes)?;
        let entry = |bytes: &[u8]| {
            let (mut symbols, mut files) = ([0; 8], [0; 2]);
            symbols.copy_from_slice(&bytes[..8]);
            files.copy_from_slice(&bytes[8..]);
            (Code::from_symbols(u64::from_le_bytes(symbols)), u16::from_le_bytes(files))
        };
        run.entries = bytes.chunks_exact(ENTRY_BYTES).map(entry).collect::<Vec<_>>().into_iter();
        Ok(run.entries.next())
    }
}

impl Iterator for Codes {
    type Item = Result<(Code, u16), CorpusError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(failure) = self.failure.take() {
            self.next.clear();
            return Some(Err(failure));
        }
        let Reverse((code, files, run)) = *self.next.peek()?;
        let following = self.advance(run);
        // There is one: it was just looked at.
        let top = self.next.peek_mut()?;
        match following {
            Ok(Some((code, files))) => {
                let mut top = top;
                *top = Reverse((code, files, run));
            }
            Ok(None) => drop(PeekMut::pop(top)),
            Err(failure) => {
                PeekMut::pop(top);
                self.failure = Some(failure);
            }
        }
        Some(Ok((code, files)))
    }
}

impl fmt::Debug for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codes").field("count", &self.count).finish_non_exhaustive()
    }
}
