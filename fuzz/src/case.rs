//! From the fuzzer's bytes to files and settings. Eight bytes choose how, the rest is what the files hold.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;

use coupon_corpus::{CouponSource, Inflate, Rule, Settings};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Files to digest, and how.
#[derive(Debug)]
pub struct Case {
    pub files: Vec<Vec<u8>>,
    pub lengths: (u8, u8),
    pub min_files: u32,
    memory_budget_bytes: u64,
    threads: NonZeroUsize,
    /// Bytes that a file gives at a time.
    piece_bytes: usize,
}

const LENGTHS: [(u8, u8); 5] = [(8, 10), (1, 3), (8, 8), (9, 10), (1, 10)];
/// Enough for everything, or so little that all of it is spilled and compared in rounds.
const BUDGETS: [u64; 3] = [16 << 20, 64 << 10, 1 << 10];
const PIECES: [usize; 4] = [usize::MAX, 1, 13, 4096];
/// Ends a file but the last.
const FILE_END: u8 = 0xff;
/// A text may be repeated up to this length: more than the digest takes at a time, and than the longest line.
const MOST_TEXT_BYTES: usize = 1_100_000;

impl Case {
    /// `None` if there are too few bytes.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let ([lengths, min_files, budget, sources, packing @ .., damage], content) =
            bytes.split_first_chunk::<8>()?;
        let choose = |byte: &u8, of: usize| usize::from(*byte) % of;
        let files = content
            .splitn(choose(sources, 3) + 1, |byte| *byte == FILE_END)
            .zip(packing)
            .map(|(text, packing)| packed(text, *packing, *damage))
            .collect();
        Some(Self {
            files,
            lengths: LENGTHS[choose(lengths, LENGTHS.len())],
            min_files: 1 + u32::from(min_files % 4),
            memory_budget_bytes: BUDGETS[choose(budget, BUDGETS.len())],
            threads: NonZeroUsize::MIN.saturating_add(choose(budget, 4) / 2),
            piece_bytes: PIECES[choose(sources, 12) / 3],
        })
    }

    pub fn settings(&self, inflate: Inflate) -> Settings {
        Settings {
            rule: Rule::new(self.lengths.0, self.lengths.1).expect("a rule"),
            min_files: self.min_files,
            memory_budget_bytes: self.memory_budget_bytes,
            threads: self.threads,
            inflate,
            ..Settings::default()
        }
    }

    pub fn sources(&self) -> Vec<CouponSource> {
        let source = |(number, file): (usize, &Vec<u8>)| CouponSource {
            name: format!("file {number}"),
            size_bytes: file.len() as u64,
            content: Box::new(Pieces { content: io::Cursor::new(file.clone()), bytes: self.piece_bytes }),
        };
        self.files.iter().enumerate().map(source).collect()
    }
}

/// As it is; gzip, whole, in two members with padding, or damaged; or what passes for compressed data behind a header.
fn packed(text: &[u8], packing: u8, damage: u8) -> Vec<u8> {
    const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let most = (MOST_TEXT_BYTES / text.len().max(1)).max(1);
    let times = [1, 1, 1, 1, 1, 1, 40, most][usize::from(packing) / 7 % 8].min(most);
    let text = text.repeat(times);
    let at = |length: usize| length * usize::from(damage) / 256;
    match packing % 7 {
        0 => text,
        1 => gzip(&text),
        2 => {
            let (start, end) = text.split_at(at(text.len()));
            [gzip(start), vec![0; usize::from(damage % 3)], gzip(end), vec![0; usize::from(damage % 5)]]
                .concat()
        }
        3 => {
            let mut damaged = gzip(&text);
            let position = at(damaged.len());
            damaged[position] ^= 1 << (damage % 8);
            damaged
        }
        4 => {
            let mut damaged = gzip(&text);
            damaged.truncate(at(damaged.len()));
            damaged
        }
        5 => [gzip(&text), vec![damage; 2]].concat(),
        _ => [&GZIP_HEADER[..], &text].concat(),
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

/// Gives a few bytes at a time, as a pipe or a network may.
struct Pieces {
    content: io::Cursor<Vec<u8>>,
    bytes: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.bytes);
        self.content.read(&mut buffer[..most])
    }
}
