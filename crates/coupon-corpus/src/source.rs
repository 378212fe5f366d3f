//! What to read.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A file to read, and what to call it in messages.
pub struct CouponSource {
    /// Its name.
    pub name: String,
    /// Its size, as far as it is known; the largest is read first.
    pub size_bytes: u64,
    /// Its content, compressed or not.
    pub content: Box<dyn Read + Send>,
}

/// Counts what is read, for this file and for all.
pub(crate) struct Counted<'c> {
    content: Box<dyn Read + Send>,
    own: Arc<AtomicU64>,
    all: &'c AtomicU64,
}

impl<'c> Counted<'c> {
    pub(crate) fn new(content: Box<dyn Read + Send>, all: &'c AtomicU64) -> Self {
        Self { content, own: Arc::default(), all }
    }

    /// Where it stands in this file, in bytes.
    pub(crate) fn position(&self) -> Arc<AtomicU64> {
        self.own.clone()
    }
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        self.own.fetch_add(read as u64, Ordering::Relaxed);
        self.all.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
