//! Which files hold the same codes, and which hold nearly all codes of another. It is found out while partitions are
//! compared anyway.
//!
//! Files are in one group as long as no code has told them apart. Files that differ are told apart by their first few
//! codes; soon every group has one file, and nothing is left to do. For files that are the same every code is looked
//! at, so the answer is exact. What is said about parts of files is an estimate: in large sets only some partitions are
//! looked at, which are a random sample.

use std::collections::HashMap;

/// Files that hold exactly the same codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Same {
    /// Which files, in their order.
    pub files: Vec<usize>,
    /// How many codes each of them holds.
    pub codes: u64,
}

/// A file of which nearly all codes are in another one, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contained {
    /// The file.
    pub file: usize,
    /// The other one, which may hold more.
    pub within: usize,
    /// About what part of its codes that is.
    pub percent: u64,
}

/// What one thread has seen of all files.
pub(crate) struct Likeness {
    /// The group of each file.
    group_of: Vec<u16>,
    /// How many files and how many codes each group has.
    groups: Vec<Group>,
    /// Groups of more than one file.
    undecided: usize,
    sample: Option<Sample>,
    /// How often a file of each group is among the files at hand, and which groups that are; empty between uses.
    hits: Vec<u16>,
    hit: Vec<u16>,
}

#[derive(Clone, Copy)]
struct Group {
    files: u16,
    codes: u64,
}

/// How many codes files have in common, in some of the partitions.
struct Sample {
    files: usize,
    /// One partition in so many.
    every: usize,
    is_due: bool,
    sizes: Vec<u64>,
    common: Vec<u64>,
}

impl Sample {
    /// More files would need more room, and more time for each code.
    const MOST_FILES: usize = 64;
    /// Up to so many codes all of them are looked at.
    const FEW_CODES: u64 = 1 << 20;
    /// One partition in so many of more codes.
    const EVERY: usize = 16;
    /// Fewer codes say little.
    const LEAST_CODES: u64 = 64;
    const LEAST_PERCENT: u64 = 90;

    fn note(&mut self, files: u64) {
        for file in bits(&[files]) {
            self.sizes[file] += 1;
            for other in bits(&[files & !(1 << file)]) {
                self.common[file * self.files + other] += 1;
            }
        }
    }
}

impl Likeness {
    /// Of so many files, which hold so many lines that are codes.
    pub(crate) fn new(files: usize, codes: u64) -> Self {
        let group = Group { files: u16::try_from(files).unwrap_or(u16::MAX), codes: 0 };
        let sample = (files <= Sample::MOST_FILES).then(|| Sample {
            files,
            every: if codes > Sample::FEW_CODES { Sample::EVERY } else { 1 },
            is_due: false,
            sizes: vec![0; files],
            common: vec![0; files * files],
        });
        Self {
            group_of: vec![0; files],
            groups: vec![group],
            undecided: usize::from(files > 1),
            sample,
            hits: vec![0; 1],
            hit: Vec::new(),
        }
    }

    /// A partition begins in which files have so many lines that are codes.
    pub(crate) fn begin(&mut self, partition: usize, counts: &[u64]) {
        if let Some(sample) = &mut self.sample {
            sample.is_due = partition.is_multiple_of(sample.every);
        }
        if self.undecided > 0 {
            let mut words = vec![0; counts.len().div_ceil(64)];
            for (file, _) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                words[file / 64] |= 1 << (file % 64);
            }
            self.divide(&words);
        }
    }

    /// Whether anything is to be learned from the codes of the present partition.
    pub(crate) fn is_curious(&self) -> bool {
        self.undecided > 0 || self.sample.as_ref().is_some_and(|sample| sample.is_due)
    }

    /// Leaves at most one file of a group among the large ones, whose codes are not collected: two of those could not
    /// be told apart.
    pub(crate) fn keep_one_of_each_group(&self, is_large: &mut [bool]) {
        if self.undecided == 0 {
            return;
        }
        let mut has_one = vec![false; self.groups.len()];
        for (file, group) in self.group_of.iter().enumerate() {
            let has_one = &mut has_one[usize::from(*group)];
            is_large[file] &= !*has_one;
            *has_one |= is_large[file];
        }
    }

    /// A code stands in these files, a bit for each, and in no other.
    pub(crate) fn note(&mut self, files: &[u64]) {
        if self.undecided > 0 {
            self.divide(files);
            for group in self.hit.drain(..) {
                self.groups[usize::from(group)].codes += 1;
            }
        }
        if let (Some(sample), [files]) = (&mut self.sample, files)
            && sample.is_due
        {
            sample.note(*files);
        }
    }

    /// So many lines of a file are codes that stand in none of the files of its group.
    pub(crate) fn note_alone(&mut self, file: usize, lines: u64) {
        if lines == 0 {
            return;
        }
        if self.undecided > 0 {
            let mut words = vec![0; self.group_of.len().div_ceil(64)];
            words[file / 64] |= 1 << (file % 64);
            self.divide(&words);
        }
        if let Some(sample) = self.sample.as_mut().filter(|sample| sample.is_due) {
            sample.sizes[file] += lines;
        }
    }

    /// Divides each group into those of its files that are among these and those that are not. Leaves the groups of the
    /// former in `hit`.
    fn divide(&mut self, files: &[u64]) {
        self.hit.clear();
        for file in bits(files) {
            let group = self.group_of[file];
            if self.groups[usize::from(group)].files > 1 {
                self.hits[usize::from(group)] += 1;
                if self.hits[usize::from(group)] == 1 {
                    self.hit.push(group);
                }
            }
        }
        for hit in &mut self.hit {
            let group = usize::from(*hit);
            let hits = std::mem::take(&mut self.hits[group]);
            let left = self.groups[group].files - hits;
            if left == 0 {
                continue;
            }
            #[expect(clippy::cast_possible_truncation, reason = "no more groups than files")]
            let new = self.groups.len() as u16;
            for file in
                bits(files).filter(|file| usize::from(self.group_of[*file]) == group).collect::<Vec<_>>()
            {
                self.group_of[file] = new;
            }
            self.undecided -= 1;
            self.undecided += usize::from(left > 1) + usize::from(hits > 1);
            self.groups[group].files = left;
            self.groups.push(Group { files: hits, ..self.groups[group] });
            self.hits.push(0);
            *hit = new;
        }
    }
}

/// What all threads have seen together: each has looked at other codes.
pub(crate) fn conclude(seen: &[Likeness]) -> (Vec<Same>, Vec<Contained>) {
    let files = seen.first().map_or(0, |likeness| likeness.group_of.len());
    let mut by_groups: HashMap<Vec<u16>, Vec<usize>> = HashMap::new();
    for file in 0..files {
        by_groups
            .entry(seen.iter().map(|likeness| likeness.group_of[file]).collect())
            .or_default()
            .push(file);
    }
    let mut same: Vec<_> = by_groups
        .into_iter()
        .filter(|(_, files)| files.len() > 1)
        .map(|(groups, files)| {
            let codes = seen.iter().zip(groups);
            let codes = codes.map(|(likeness, group)| likeness.groups[usize::from(group)].codes).sum();
            Same { files, codes }
        })
        // Files without a code are alike, too, and it says nothing.
        .filter(|same| same.codes > 0)
        .collect();
    same.sort_by_key(|same| same.files[0]);
    let contained = contained(seen, files, &same);
    (same, contained)
}

fn contained(seen: &[Likeness], files: usize, same: &[Same]) -> Vec<Contained> {
    let samples: Vec<_> = seen.iter().filter_map(|likeness| likeness.sample.as_ref()).collect();
    if samples.is_empty() {
        return Vec::new();
    }
    let size = |file: usize| samples.iter().map(|sample| sample.sizes[file]).sum::<u64>();
    let common = |file: usize, other: usize| {
        samples.iter().map(|sample| sample.common[file * files + other]).sum::<u64>()
    };
    let is_same =
        |file, other| same.iter().any(|same| [file, other].iter().all(|one| same.files.contains(one)));
    let mut contained = Vec::new();
    for file in 0..files {
        let own = size(file);
        // Of two that are nearly the same, the smaller one is a part of the other.
        let others =
            (0..files).filter(|other| (size(*other), *other) > (own, file) && !is_same(file, *other));
        if let Some((common, within)) = others.map(|other| (common(file, other), other)).max()
            && own >= Sample::LEAST_CODES
            && common * 100 >= own * Sample::LEAST_PERCENT
        {
            contained.push(Contained { file, within, percent: common * 100 / own });
        }
    }
    contained
}

/// Which bits are set.
fn bits(words: &[u64]) -> impl Iterator<Item = usize> {
    words.iter().enumerate().flat_map(|(at, word)| {
        let mut rest = *word;
        std::iter::from_fn(move || {
            let bit = rest.trailing_zeros();
            rest &= rest.wrapping_sub(1);
            (bit < u64::BITS).then_some(at * 64 + bit as usize)
        })
    })
}
