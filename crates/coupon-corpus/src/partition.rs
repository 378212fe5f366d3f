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

/// How buffers lie in memory, and where what is in them goes.
#[derive(Clone, Copy)]
struct Layout<'s> {
    store: &'s Store,
    spill_file: u16,
    files: usize,
    buffer_bytes: usize,
    /// From the beginning of a buffer to that of the next.
    stride_bytes: usize,
}

/// One thread's codes.
pub(crate) struct Partitions<'s> {
    layout: Layout<'s>,
    classes: Vec<Shelf>,
}

/// One thread's codes of one length.
struct Shelf {
    class: Class,
    buffers: Vec<u8>,
    slots: Vec<Slot>,
    piles: Vec<Pile>,
    /// Codes of each partition and file.
    counts: Vec<u32>,
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

/// Takes codes of one length from one file.
pub(crate) struct Sink<'p, 's> {
    layout: Layout<'s>,
    shelf: &'p mut Shelf,
    file: u16,
}

impl<'s> Partitions<'s> {
    /// For `files` files; a buffer has `buffer_bytes`, whole pages. What does not fit goes into spill file `spill_file`.
    pub(crate) fn new(
        store: &'s Store,
        classes: &[Class],
        files: usize,
        buffer_bytes: usize,
        spill_file: u16,
    ) -> Self {
        // Not a power of two: the ends of all buffers would share a few lines of the cache.
        const CACHE_LINE_BYTES: usize = 64;
        let stride_bytes = buffer_bytes + CACHE_LINE_BYTES;
        let layout = Layout { store, spill_file, files, buffer_bytes, stride_bytes };
        let shelf = |class: &Class| Shelf {
            class: *class,
            buffers: Vec::new(),
            slots: Vec::new(),
            piles: Vec::new(),
            counts: Vec::new(),
        };
        Self { layout, classes: classes.iter().map(shelf).collect() }
    }

    /// For codes of a class that stand in `file`.
    pub(crate) fn sink(&mut self, class: usize, file: u16) -> Sink<'_, 's> {
        Sink { layout: self.layout, shelf: &mut self.classes[class], file }
    }

    /// How much all threads have spilled.
    pub(crate) fn spilled_bytes(&self) -> u64 {
        self.layout.store.spill.bytes()
    }

    /// Puts everything away and gives the buffers back.
    pub(crate) fn finish(mut self) -> Result<Piles, CorpusError> {
        for shelf in &mut self.classes {
            for partition in 0..shelf.slots.len() {
                shelf.end_run(self.layout, partition);
                shelf.put_away(self.layout, partition)?;
            }
            shelf.buffers = Vec::new();
        }
        let by_class = self.classes.into_iter().map(|shelf| (shelf.piles, shelf.counts)).collect();
        Ok(Piles { files: self.layout.files, by_class })
    }
}

impl Sink<'_, '_> {
    /// Adds a code.
    #[inline]
    pub(crate) fn push(&mut self, number: u64) -> Result<(), CorpusError> {
        let (partition, remainder) = self.shelf.class.split(number);
        loop {
            if let Some(slot) = self.shelf.slots.get_mut(partition)
                && slot.file == self.file
                && slot.fill as usize + SLACK_BYTES <= self.layout.buffer_bytes
            {
                let at = partition * self.layout.stride_bytes + slot.fill as usize;
                self.shelf.buffers[at..at + SLACK_BYTES].copy_from_slice(&remainder.to_le_bytes());
                slot.fill += self.shelf.class.width;
                return Ok(());
            }
            self.shelf.make_ready(self.layout, partition, self.file)?;
        }
    }
}

impl Shelf {
    /// Makes room for a run of `file`.
    #[cold]
    fn make_ready(&mut self, layout: Layout<'_>, partition: usize, file: u16) -> Result<(), CorpusError> {
        #[expect(clippy::cast_possible_truncation, reason = "six")]
        const HEADER: u32 = RUN_BYTES as u32;
        if self.slots.is_empty() {
            let partitions = self.class.partitions;
            self.buffers = vec![0; partitions * layout.stride_bytes];
            self.slots = vec![Slot::EMPTY; partitions];
            self.piles.resize_with(partitions, Pile::default);
            self.counts = vec![0; partitions * layout.files];
        }
        self.end_run(layout, partition);
        if self.slots[partition].fill as usize + RUN_BYTES + SLACK_BYTES > layout.buffer_bytes {
            self.put_away(layout, partition)?;
        }
        let slot = &mut self.slots[partition];
        (slot.run, slot.file) = (slot.fill, file);
        slot.fill += HEADER;
        Ok(())
    }

    /// Writes the header of the present run.
    fn end_run(&mut self, layout: Layout<'_>, partition: usize) {
        let slot = &mut self.slots[partition];
        if slot.file == NO_FILE {
            return;
        }
        let run = slot.run as usize;
        let count = (slot.fill as usize - run - RUN_BYTES) / self.class.width as usize;
        #[expect(clippy::cast_possible_truncation, reason = "fewer than a buffer has bytes, which fit")]
        let count = count as u32;
        let header = &mut self.buffers[partition * layout.stride_bytes + run..][..RUN_BYTES];
        header[..2].copy_from_slice(&slot.file.to_le_bytes());
        header[2..].copy_from_slice(&count.to_le_bytes());
        self.counts[partition * layout.files + usize::from(slot.file)] += count;
        slot.file = NO_FILE;
    }

    /// Turns a buffer into a segment.
    fn put_away(&mut self, layout: Layout<'_>, partition: usize) -> Result<(), CorpusError> {
        let slot = &mut self.slots[partition];
        let segment = &mut self.buffers[partition * layout.stride_bytes..][..layout.buffer_bytes];
        let used = slot.fill as usize;
        *slot = Slot::EMPTY;
        let pile = &mut self.piles[partition];
        if used == LINK_BYTES {
            return Ok(());
        }
        if layout.store.has_room(used as u64) {
            pile.resident.push(segment[LINK_BYTES..used].into());
            return Ok(());
        }
        let (offset, bytes) = pile.last.map_or((0, 0), |before| (before.offset, before.bytes));
        segment[..8].copy_from_slice(&offset.to_le_bytes());
        segment[8..LINK_BYTES].copy_from_slice(&bytes.to_le_bytes());
        pile.last = Some(layout.store.spill.append(layout.spill_file, segment, used)?);
        Ok(())
    }
}

/// Everything one thread has put away.
pub(crate) struct Piles {
    files: usize,
    /// The piles of each partition, and the codes of each partition and file.
    by_class: Vec<(Vec<Pile>, Vec<u32>)>,
}

impl Piles {
    /// Adds up the codes of each file in a partition.
    pub(crate) fn count(&self, class: usize, partition: usize, counts: &mut [u64]) {
        let Some(own) = self.by_class[class].1.get(partition * self.files..(partition + 1) * self.files)
        else {
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
        let Some(pile) = self.by_class[at.0].0.get(at.1) else { return Ok(()) };
        for segment in &pile.resident {
            runs(segment, class.width as usize, &mut each);
        }
        let mut next = pile.last;
        while let Some(block) = next {
            store.spill.read(block, scratch)?;
            runs(&scratch[LINK_BYTES..], class.width as usize, &mut each);
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
