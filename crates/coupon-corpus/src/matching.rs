//! Which codes of a partition stand in enough files.
//!
//! A code in at least N files stands in at least one that is not among the N - 1 largest. So only the codes of the
//! others are collected, and the largest are merely held against them: where one file has nearly everything, as with the
//! reference files, next to nothing is collected, and a partition without any such code is not even read.

use crate::CorpusError;
use crate::class::Class;
use crate::code::Code;
use crate::likeness::Likeness;
use crate::partition::{Piles, Store};

/// What the comparison needs to know.
pub(crate) struct Matching<'m> {
    pub store: &'m Store,
    pub piles: &'m [Piles],
    pub files: usize,
    pub min_files: u32,
    /// Bytes that one partition's codes may take in memory.
    pub table_bytes: usize,
}

impl Matching<'_> {
    /// Hands every code of the partition that stands in enough files to `found`, with the number of files. Tells
    /// `likeness` the files of each code.
    pub(crate) fn run(
        &self,
        class: &Class,
        at: (usize, usize),
        likeness: &mut Likeness,
        mut found: impl FnMut(Code, u16) -> Result<(), CorpusError>,
    ) -> Result<(), CorpusError> {
        let mut counts = vec![0; self.files];
        for piles in self.piles {
            piles.count(at.0, at.1, &mut counts);
        }
        likeness.begin(at.1, &counts);
        let mut is_large = largest(&counts, self.min_files.saturating_sub(1) as usize);
        likeness.keep_one_of_each_group(&mut is_large);
        let candidates: u64 =
            counts.iter().zip(&is_large).filter(|(_, is_large)| !**is_large).map(|(count, _)| count).sum();
        if candidates == 0 {
            counts.iter().enumerate().for_each(|(file, lines)| likeness.record_alone(file, *lines));
            return Ok(());
        }
        let words = self.files.div_ceil(u64::BITS as usize);
        let most = (self.table_bytes / (size_of::<u64>() * (1 + words) * Table::ROOM)).max(Table::LEAST);
        let expected = usize::try_from(candidates).unwrap_or(usize::MAX).min(most);
        let mut table = Table::new(expected, words);
        let mut alone = vec![0; self.files];
        // More different codes than fit are looked at in several rounds, each for a part of them.
        let mut rounds = 1;
        let mut round = 0;
        while round < rounds {
            table.clear();
            alone.fill(0);
            if self.look(class, at, &is_large, &mut table, &mut alone, (round, rounds))? {
                alone.iter().enumerate().for_each(|(file, lines)| likeness.record_alone(file, *lines));
                let mut is_curious = likeness.is_curious();
                for (remainder, in_files) in table.entries() {
                    if is_curious {
                        likeness.note(in_files);
                        is_curious = likeness.is_curious();
                    }
                    let files = in_files.iter().map(|word| word.count_ones()).sum::<u32>();
                    if files >= self.min_files {
                        let number = class.join(at.1, remainder);
                        let files = u16::try_from(files).unwrap_or(u16::MAX);
                        found(Code::new(class.length, number), files)?;
                    }
                }
                round += 1;
            } else {
                (round, rounds) = (round * 2, rounds * 2);
            }
        }
        Ok(())
    }

    /// Fills the table with the codes of a round. Counts in `alone` the lines of each large file with codes that the
    /// table does not hold. Returns `false` if the table has no room for all codes.
    fn look(
        &self,
        class: &Class,
        at: (usize, usize),
        is_large: &[bool],
        table: &mut Table,
        alone: &mut [u64],
        (round, rounds): (u64, u64),
    ) -> Result<bool, CorpusError> {
        // By the lowest bits, read from the lowest on: so round r, halved, becomes the rounds 2r and 2r + 1.
        let is_due =
            |remainder: u64| (remainder.reverse_bits() >> 1) / (((1 << 63) - 1) / rounds + 1) == round;
        let mut scratch = Vec::new();
        let mut fits = true;
        for wants_large in [false, true] {
            for piles in self.piles {
                piles.runs(self.store, class, at, &mut scratch, |file, codes| {
                    if is_large[usize::from(file)] != wants_large || !fits {
                        return;
                    }
                    let mut unknown = 0;
                    for code in codes.chunks_exact(class.width as usize) {
                        let mut bytes = [0; 8];
                        bytes[..code.len()].copy_from_slice(code);
                        let remainder = u64::from_le_bytes(bytes);
                        if rounds > 1 && !is_due(remainder) {
                            continue;
                        }
                        match table.note(remainder, file, !wants_large) {
                            Noted::Known => {}
                            Noted::Unknown => unknown += 1,
                            Noted::Full => fits = false,
                        }
                    }
                    alone[usize::from(file)] += unknown;
                })?;
                if !fits {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// Which are the `number` largest.
fn largest(counts: &[u64], number: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|file| std::cmp::Reverse(counts[*file]));
    let mut is_large = vec![false; counts.len()];
    for file in order.into_iter().take(number) {
        is_large[file] = true;
    }
    is_large
}

/// The outcome of noting a code.
enum Noted {
    /// The table holds the code.
    Known,
    /// The table does not hold the code and need not.
    Unknown,
    /// The table should hold the code, but has no room.
    Full,
}

/// Codes of one partition and the files they stand in. Open addressing: mixed numbers are as good as hashed.
struct Table {
    /// What is stored of a code, plus one; 0 is an empty place.
    keys: Vec<u64>,
    /// A bit for each file.
    files: Vec<u64>,
    words: usize,
    used: usize,
    most: usize,
}

impl Table {
    /// Places for each code.
    const ROOM: usize = 2;
    const LEAST: usize = 16;

    fn new(most: usize, words: usize) -> Self {
        let places = (most * Self::ROOM).next_power_of_two();
        // A table of twice the size would be over the budget.
        let places = if places > most * Self::ROOM && most > Self::LEAST { places / 2 } else { places };
        let most = places / Self::ROOM;
        Self { keys: vec![0; places], files: vec![0; places * words], words, used: 0, most }
    }

    fn clear(&mut self) {
        self.keys.fill(0);
        self.files.fill(0);
        self.used = 0;
    }

    /// Notes that a code stands in a file. A code that the table does not hold yet is added only if it `may_be_new`.
    fn note(&mut self, remainder: u64, file: u16, may_be_new: bool) -> Noted {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let mask = self.keys.len() - 1;
        let mut place = (remainder.wrapping_mul(GOLDEN) >> 20) as usize & mask;
        loop {
            match self.keys[place] {
                0 if !may_be_new => return Noted::Unknown,
                0 if self.used == self.most => return Noted::Full,
                0 => {
                    self.used += 1;
                    self.keys[place] = remainder + 1;
                }
                key if key == remainder + 1 => {}
                _ => {
                    place = (place + 1) & mask;
                    continue;
                }
            }
            self.files[place * self.words + usize::from(file) / 64] |= 1 << (file % 64);
            return Noted::Known;
        }
    }

    /// The codes, each with the files it stands in, a bit for each.
    fn entries(&self) -> impl Iterator<Item = (u64, &[u64])> {
        let files = self.files.chunks_exact(self.words);
        self.keys.iter().zip(files).filter(|(key, _)| **key != 0).map(|(key, files)| (key - 1, files))
    }
}
