//! The coupon codes found in at least N of a set of files: one code a line, gzip or plain text.
//!
//! Exact for any input, in one pass over the files and a bounded amount of memory. A code that stands in one file many
//! times counts once for it. Lines that are no codes are counted and left out.
//!
//! Lines become numbers ([`code`]), which are spread over partitions by a random bijection ([`class`]) and collected
//! there, in memory or in a nameless temporary file ([`partition`], [`spill`]). Then each partition is compared by
//! itself ([`matching`], [`likeness`]), and the codes found are sorted ([`results`]). [`digest`] runs all of that on
//! several threads.

mod binary;
mod class;
mod code;
mod decode;
mod digest;
mod likeness;
mod matching;
mod partition;
mod progress;
mod reading;
mod results;
mod scan;
mod source;
mod spill;

use std::io;
use std::path::PathBuf;

pub use binary::Binary;
pub use code::{Code, Rule};
pub use decode::Inflate;
pub use digest::{Settings, digest};
pub use likeness::{Contained, Same};
pub use progress::Progress;
pub use results::Codes;
pub use source::CouponSource;

/// What the files hold.
#[derive(Debug)]
pub struct Corpus {
    /// The codes that stand in enough files.
    pub codes: Codes,
    /// How many lines of each file are codes, in the order of the files.
    pub codes_by_file: Vec<u64>,
    /// Groups of files that hold the same codes. The order of lines, repeated lines, malformed lines and compression
    /// make no difference.
    pub same: Vec<Same>,
    /// Files that share nearly all their codes with another file. In large sets this is an estimate.
    pub contained: Vec<Contained>,
    /// All lines.
    pub lines: u64,
    /// Lines that are neither codes nor empty.
    pub malformed_lines: u64,
}

/// The codes could not be found.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// A file is truncated, corrupt, or gone.
    #[error("{name}, about byte {offset}: cannot be read")]
    Unreadable {
        /// The name of the file.
        name: String,
        /// How much of it was read.
        offset: u64,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A file has nothing in it.
    #[error("{0} is empty")]
    Empty(String),
    /// A line is longer than any code file has.
    #[error("{name}: the line at byte {offset} of the text is longer than {} bytes", reading::MAX_LINE_BYTES)]
    LineTooLong {
        /// The name of the file.
        name: String,
        /// Where the line begins in its text.
        offset: u64,
    },
    /// A file is not text.
    #[error("{name}: what stands at byte {offset} of the text is {what}")]
    Binary {
        /// The name of the file.
        name: String,
        /// The position in its text at which that shows.
        offset: u64,
        /// The file's kind.
        what: Binary,
    },
    /// There are more files than can be told apart.
    #[error("{files} files are more than {}", Settings::MOST_FILES)]
    TooManyFiles {
        /// How many.
        files: usize,
    },
    /// There is no room for what does not fit into memory.
    #[error("{} cannot be used for what does not fit into memory", directory.display())]
    Spill {
        /// The directory meant.
        directory: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// What does not fit into memory is more than may be put elsewhere.
    #[error("more than {limit_bytes} bytes would have to be put into {}", directory.display())]
    SpillLimit {
        /// The directory meant.
        directory: PathBuf,
        /// How much may be put there.
        limit_bytes: u64,
    },
    /// It was called off.
    #[error("stopped before the end")]
    Cancelled,
}
