//! Why a load failed. Nothing of a failed data set is left in the database.

use std::fmt;
use std::io;
use std::path::PathBuf;

use coupon_corpus::CorpusError;
use database::LockError;

use crate::SpillLimit;

/// A load failed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Files are wrong; nothing was written.
    #[error(transparent)]
    BadData(#[from] BadData),
    /// A file or the data directory cannot be read; nothing was written.
    #[error("cannot read {path}", path = .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// A coupon file is damaged; nothing was written.
    #[error(transparent)]
    Coupons(CorpusError),
    /// Codes that do not fit into memory need more disk than is allowed; nothing was written to the database.
    #[error(
        "coupon files need more than {limit} in {directory} for what does not fit into memory; allow more with \
         SPILL_SIZE_LIMIT (--spill-size-limit), or give more memory with MEMORY_BUDGET",
        directory = directory.display()
    )]
    SpillLimit {
        /// The directory for these codes.
        directory: PathBuf,
        /// The disk that they may use there.
        limit: SpillLimit,
    },
    /// A coupon file has lines, but no code in them: it is something else, and would make all codes invalid.
    #[error("{0} holds no coupon code at all")]
    NoCodes(String),
    /// Several coupon files hold the same codes.
    #[error(
        "{} hold the same {codes} codes, so that one list would count as {} files; remove all of them but one, or \
         allow it with --allow-same-files (ALLOW_SAME_FILES=true)",
        files.join(" and "),
        files.len()
    )]
    SameFiles {
        /// The names of the files.
        files: Vec<String>,
        /// The number of codes that each of them holds.
        codes: u64,
    },
    /// Codes are published now, and this load would leave no valid one.
    #[error(
        "no code stands in at least {min_files} of the coupon files, which would make every published code \
         invalid ({published}); check the files, or allow it with --allow-empty (ALLOW_EMPTY=true)"
    )]
    NoValidCodes {
        /// The number of files that must hold a code to make it valid.
        min_files: u32,
        /// The number of codes that are published now.
        published: u64,
    },
    /// No code can stand in so many files.
    #[error("no code can stand in {min_files} of {files} files")]
    TooFewFiles {
        /// How many files there are.
        files: usize,
        /// In how many a code must stand.
        min_files: u32,
    },
    /// There is nothing to load.
    #[error("{path} holds none of the files {expected}", path = .0.display(), expected = .1)]
    NothingToLoad(PathBuf, String),
    /// The load was called off; nothing more was written.
    #[error("the load was stopped before its end")]
    Interrupted,
    /// Another run held the lock too long.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The tables are not there.
    #[error("the database has no tables yet: run database-migration first")]
    NotMigrated(#[source] sqlx::Error),
    /// The database failed.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
}

impl From<CorpusError> for LoadError {
    fn from(error: CorpusError) -> Self {
        match error {
            CorpusError::SpillLimit { directory, limit_bytes } => {
                Self::SpillLimit { directory, limit: SpillLimit(limit_bytes) }
            }
            CorpusError::Cancelled => Self::Interrupted,
            error => Self::Coupons(error),
        }
    }
}

impl From<sqlx::Error> for LoadError {
    fn from(error: sqlx::Error) -> Self {
        let is_missing_table = match &error {
            // 42P01 undefined_table (PostgreSQL, appendix A); SQLite has only its message.
            sqlx::Error::Database(e) => {
                e.code().as_deref() == Some("42P01") || e.message().starts_with("no such table")
            }
            _ => false,
        };
        if is_missing_table { Self::NotMigrated(error) } else { Self::Database(error) }
    }
}

/// One thing wrong in a file. Never shows the value: it may be a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file's name.
    pub file: String,
    /// The line, counted from 1 and with the header.
    pub line: u64,
    /// The column's name, where it is one column's fault.
    pub column: Option<String>,
    /// What is wrong and why.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}", self.file, self.line)?;
        if let Some(column) = &self.column {
            write!(f, ", column {column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Everything wrong that was found, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadData(pub Vec<Fault>);

impl BadData {
    const SHOWN: usize = 10;
}

impl std::error::Error for BadData {}

impl fmt::Display for BadData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<_> = self.0.iter().take(Self::SHOWN).map(Fault::to_string).collect();
        f.write_str(&shown.join("; "))?;
        match self.0.len().saturating_sub(Self::SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}
