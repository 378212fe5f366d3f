//! Codes on their way from the files to the comparison: each thread collects them by length and partition.
//!
//! A full buffer becomes a segment: kept in memory as long as there is room, else appended to the thread's spill file, where
//! each segment says where the one before it lies. A segment is a row of runs: the number of a file, how many codes, and
//! what is stored of each.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::CorpusError;
use crate::class::Class;
use crate::spill::{Block, Spill};

/// What all threads share.
pub(crate) struct Store {
    pub spill: Spill,
    /// Bytes that segments may still take in memory.
    room_bytes: AtomicU64,
}

impl Store {
    pub(crate) const fn new(spill: Spill, room_bytes: u64) -> Self {
        Self { spill, room_bytes: AtomicU64::new(room_bytes) }
    }

    fn has_room(&self, bytes: u64) -> bool {
        self.room_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(bytes))
            .is_ok()
    }
}

/// Where the segment before lies: offset and bytes; 0 bytes is nowhere.
const LINK_BYTES: usize = 12;
/// File and number of codes of a run.
const RUN_BYTES: usize = 6;
/// Codes are stored eight bytes at a time, though most of the last ones are written over.
const SLACK_BYTES: usize = 8;
const NO_FILE: u16 = u16::MAX;

/// One thread's codes of one length.
struct Buffered {
    class: Class,
    buffers: Vec<u8>,
    slots: Vec<Slot>,
}

#[derive(Clone)]
struct Slot {
    /// Bytes in its buffer.
    fill: u32,
    /// Where the present run began.
    run: u32,
    /// The file of the present run.
    file: u16,
}

impl Slot {
    #[expect(clippy::cast_possible_truncation, reason = "twelve")]
    const EMPTY: Self = Self { fill: LINK_BYTES as u32, run: 0, file: NO_FILE };
}

/// What one thread has put away of one partition.
#[derive(Default)]
pub(crate) struct Pile {
    resident: Vec<Box<[u8]>>,
    last: Option<Block>,
}

/// One thread's codes.
pub(crate) struct Partitions<'s> {
    store: &'s Store,
    files: usize,
    spill_file: u16,
    buffer_bytes: usize,
    /// From the beginning of a buffer to that of the next.
    stride_bytes: usize,
    classes: Vec<Buffered>,
    piles: Vec<Vec<Pile>>,
    /// Codes of each class, partition and file.
    counts: Vec<Vec<u32>>,
}

impl<'s> Partitions<'s> {
    /// For `files` files; a buffer has `buffer_bytes`, whole pages. What does not fit goes into spill file `spill_file`.
    pub(crate) fn new(
        store: &'s Store,
        of: &[Class],
        files: usize,
        buffer_bytes: usize,
        spill_file: u16,
    ) -> Self {
        // Not a power of two: the ends of all buffers would share a few lines of the cache.
        const CACHE_LINE_BYTES: usize = 64;
        let stride_bytes = buffer_bytes + CACHE_LINE_BYTES;
        let buffered = |class: &Class| Buffered { class: *class, buffers: Vec::new(), slots: Vec::new() };
        Self {
            store,
            files,
            spill_file,
            buffer_bytes,
            stride_bytes,
            classes: of.iter().map(buffered).collect(),
            piles: of.iter().map(|_| Vec::new()).collect(),
            counts: of.iter().map(|_| Vec::new()).collect(),
        }
    }

    /// Adds a code of `file`.
    #[inline]
    pub(crate) fn push(&mut self, class: usize, number: u64, file: u16) -> Result<(), CorpusError> {
        let buffered = &mut self.classes[class];
        let (partition, remainder) = buffered.class.split(number);
        let is_ready = buffered
            .slots
            .get(partition)
            .is_some_and(|slot| slot.file == file && slot.fill as usize + SLACK_BYTES <= self.buffer_bytes);
        if !is_ready {
            self.make_ready(class, partition, file)?;
        }
        let buffered = &mut self.classes[class];
        let slot = &mut buffered.slots[partition];
        let at = partition * self.stride_bytes + slot.fill as usize;
        buffered.buffers[at..at + SLACK_BYTES].copy_from_slice(&remainder.to_le_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "at most eight")]
        let width = buffered.class.width as u32;
        slot.fill += width;
        Ok(())
    }

    /// Makes room for a run of `file`.
    #[cold]
    fn make_ready(&mut self, class: usize, partition: usize, file: u16) -> Result<(), CorpusError> {
        let buffered = &mut self.classes[class];
        if buffered.slots.is_empty() {
            let partitions = buffered.class.partitions;
            buffered.buffers = vec![0; partitions * self.stride_bytes];
            buffered.slots = vec![Slot::EMPTY; partitions];
            self.piles[class].resize_with(partitions, Pile::default);
            self.counts[class] = vec![0; partitions * self.files];
        }
        self.end_run(class, partition);
        let slot = &self.classes[class].slots[partition];
        if slot.fill as usize + RUN_BYTES + SLACK_BYTES > self.buffer_bytes {
            self.put_away(class, partition)?;
        }
        let slot = &mut self.classes[class].slots[partition];
        (slot.run, slot.file) = (slot.fill, file);
        #[expect(clippy::cast_possible_truncation, reason = "six")]
        let run_bytes = RUN_BYTES as u32;
        slot.fill += run_bytes;
        Ok(())
    }

    /// Writes the header of the present run.
    fn end_run(&mut self, class: usize, partition: usize) {
        let Buffered { class: Class { width, .. }, buffers, slots } = &mut self.classes[class];
        let slot = &mut slots[partition];
        if slot.file == NO_FILE {
            return;
        }
        let (run, fill) = (slot.run as usize, slot.fill as usize);
        #[expect(clippy::cast_possible_truncation, reason = "fewer than a buffer has bytes, which fit")]
        let count = ((fill - run - RUN_BYTES) / *width) as u32;
        let header = &mut buffers[partition * self.stride_bytes + run..][..RUN_BYTES];
        header[..2].copy_from_slice(&slot.file.to_le_bytes());
        header[2..].copy_from_slice(&count.to_le_bytes());
        self.counts[class][partition * self.files + usize::from(slot.file)] += count;
        slot.file = NO_FILE;
    }

    /// Turns a buffer into a segment.
    fn put_away(&mut self, class: usize, partition: usize) -> Result<(), CorpusError> {
        let Buffered { buffers, slots, .. } = &mut self.classes[class];
        let slot = &mut slots[partition];
        let segment = &mut buffers[partition * self.stride_bytes..][..self.buffer_bytes];
        let used = slot.fill as usize;
        *slot = Slot::EMPTY;
        let pile = &mut self.piles[class][partition];
        if used == LINK_BYTES {
            return Ok(());
        }
        if self.store.has_room(used as u64) {
            pile.resident.push(segment[LINK_BYTES..used].into());
            return Ok(());
        }
        let (offset, bytes) = pile.last.map_or((0, 0), |before| (before.offset, before.bytes));
        segment[..8].copy_from_slice(&offset.to_le_bytes());
        segment[8..LINK_BYTES].copy_from_slice(&bytes.to_le_bytes());
        pile.last = Some(self.store.spill.append(self.spill_file, segment, used)?);
        Ok(())
    }

    /// Puts everything away and gives the buffers back.
    pub(crate) fn finish(mut self) -> Result<Piles, CorpusError> {
        for class in 0..self.classes.len() {
            for partition in 0..self.classes[class].slots.len() {
                self.end_run(class, partition);
                self.put_away(class, partition)?;
            }
            self.classes[class].buffers = Vec::new();
        }
        Ok(Piles { files: self.files, by_class: self.piles, counts: self.counts })
    }
}

/// Everything one thread has put away.
pub(crate) struct Piles {
    files: usize,
    by_class: Vec<Vec<Pile>>,
    counts: Vec<Vec<u32>>,
}

impl Piles {
    /// Adds up the codes of each file in a partition.
    pub(crate) fn count(&self, class: usize, partition: usize, counts: &mut [u64]) {
        let Some(own) = self.counts[class].get(partition * self.files..(partition + 1) * self.files) else {
            return;
        };
        for (sum, own) in counts.iter_mut().zip(own) {
            *sum += u64::from(*own);
        }
    }

    /// Goes through a partition run by run: the file, and what is stored of its codes.
    pub(crate) fn runs(
        &self,
        store: &Store,
        class: &Class,
        at: (usize, usize),
        scratch: &mut Vec<u8>,
        mut each: impl FnMut(u16, &[u8]),
    ) -> Result<(), CorpusError> {
        let Some(pile) = self.by_class[at.0].get(at.1) else { return Ok(()) };
        for segment in &pile.resident {
            runs(segment, class.width, &mut each);
        }
        let mut next = pile.last;
        while let Some(block) = next {
            store.spill.read(block, scratch)?;
            runs(&scratch[LINK_BYTES..], class.width, &mut each);
            let before = Block {
                file: block.file,
                offset: u64::from_le_bytes(array(&scratch[..8])),
                bytes: u32::from_le_bytes(array(&scratch[8..LINK_BYTES])),
            };
            next = (before.bytes > 0).then_some(before);
        }
        Ok(())
    }
}

fn runs(mut segment: &[u8], width: usize, each: &mut impl FnMut(u16, &[u8])) {
    while let Some((header, rest)) = segment.split_at_checked(RUN_BYTES) {
        let file = u16::from_le_bytes(array(&header[..2]));
        let count = u32::from_le_bytes(array(&header[2..])) as usize;
        let (codes, rest) = rest.split_at(count * width);
        each(file, codes);
        segment = rest;
    }
}

/// The bytes of a slice of that length.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}
