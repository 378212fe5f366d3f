//! The progress of a digest.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::CorpusError;

/// The progress of a digest. Other threads may look at it, and may call the digest off.
#[derive(Debug, Default)]
pub struct Progress {
    pub(crate) bytes_read: AtomicU64,
    lines: AtomicU64,
    spilled_bytes: AtomicU64,
    is_cancelled: AtomicBool,
}

impl Progress {
    /// Bytes of files read so far, as they are on disk.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Lines seen so far.
    pub fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    /// Bytes put into the spill directory so far.
    pub fn spilled_bytes(&self) -> u64 {
        self.spilled_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn record_lines(&self, lines: u64) {
        self.lines.fetch_add(lines, Ordering::Relaxed);
    }

    pub(crate) fn record_spilled(&self, all_bytes: u64) {
        self.spilled_bytes.store(all_bytes, Ordering::Relaxed);
    }

    /// Makes the digest end soon, with [`CorpusError::Cancelled`].
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn check(&self) -> Result<(), CorpusError> {
        if self.is_cancelled.load(Ordering::Relaxed) { Err(CorpusError::Cancelled) } else { Ok(()) }
    }
}
