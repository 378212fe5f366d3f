//! Finds files that hold the same codes, and files that share nearly all their codes with another file. It looks at the
//! codes while partitions are compared anyway.
//!
//! At first all files form one group. A code that is in some files of a group, but not in all, divides the group. Files
//! that differ are usually divided by their first few codes; then every group has one file, and nothing is left to do.
//! For files that are the same, every code is looked at, so that answer is exact. The share of common codes is an
//! estimate: in large sets only a random sample of the partitions is looked at.

use std::collections::HashMap;

/// Files that hold exactly the same codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Same {
    /// The indexes of the files, in ascending order.
    pub files: Vec<usize>,
    /// The number of codes that each of them holds.
    pub codes: u64,
}

/// A file that shares nearly all its codes with another file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contained {
    /// The index of the file.
    pub file: usize,
    /// The index of the other file, which may hold more codes.
    pub within: usize,
    /// The estimated share of its codes that are in the other file, in percent.
    pub percent: u64,
}

/// The groups and counts that one thread has gathered from its partitions.
pub(crate) struct Likeness {
    /// The group of each file.
    group_of: Vec<u16>,
    /// The number of files and of codes of each group.
    groups: Vec<Group>,
    /// The number of groups of more than one file.
    undecided: usize,
    sample: Option<Sample>,
    /// For each group, the number of its files that `divide` is given; all 0 between its calls.
    hits: Vec<u16>,
    /// The groups that the last call of `divide` found such files in. Groups of one file are left out.
    hit: Vec<u16>,
}

#[derive(Clone, Copy)]
struct Group {
    files: u16,
    codes: u64,
}

/// Counts the codes that files have in common, in some of the partitions.
struct Sample {
    /// One partition in this many is looked at.
    every: usize,
    is_due: bool,
    sizes: Vec<u64>,
    common: Vec<u64>,
}

impl Sample {
    /// There is no sample of more files: it would need more memory, and more time for each code.
    const MOST_FILES: usize = 64;
    /// Up to this many codes, every partition is looked at.
    const FEW_CODES: u64 = 1 << 20;
    /// Above [`Self::FEW_CODES`], one partition in this many is looked at.
    const EVERY: usize = 16;
    /// A file with fewer codes in the sample is not judged.
    const LEAST_CODES: u64 = 64;
    const LEAST_PERCENT: u64 = 90;

    fn note(&mut self, files: u64) {
        for file in bits(&[files]) {
            self.sizes[file] += 1;
            for other in bits(&[files & !(1 << file)]) {
                self.common[file * self.sizes.len() + other] += 1;
            }
        }
    }
}

impl Likeness {
    /// `codes` is the number of lines in all files that are codes.
    pub(crate) fn new(files: usize, codes: u64) -> Self {
        let group = Group { files: u16::try_from(files).unwrap_or(u16::MAX), codes: 0 };
        let sample = (files <= Sample::MOST_FILES).then(|| Sample {
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

    /// Begins a partition. `counts` holds the number of lines of each file that are codes of this partition.
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

    /// Whether the codes of the present partition can still tell anything new.
    pub(crate) fn is_curious(&self) -> bool {
        self.undecided > 0 || self.sample.as_ref().is_some_and(|sample| sample.is_due)
    }

    /// Clears `is_large` for all but the first large file of each group. Codes of large files are not collected, so two
    /// large files of one group could not be told apart.
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

    /// Notes a code that stands in these files, a bit for each, and in no others.
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

    /// Notes a number of lines of a file with codes that no other file of its group holds.
    pub(crate) fn record_alone(&mut self, file: usize, lines: u64) {
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

    /// Divides each group into its files that are among `files` and its other files. Leaves the groups of the former in
    /// `hit`.
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

/// Joins the findings of all threads. Each thread has looked at other codes, so files are the same only if every thread
/// has them in one group.
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
        // Files without any code would count as the same, too.
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
        // Of two files that are nearly the same, the smaller one is a part of the other.
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

/// The positions of the bits that are set.
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
