//! What does not fit into memory, in files without a name: they go away with the process, however that ends.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::CorpusError;

/// Files that grow by blocks, one for each thread that writes: none waits for another. All may read.
pub(crate) struct Spill {
    directory: PathBuf,
    limit_bytes: u64,
    files: Vec<SpillFile>,
    all_bytes: AtomicU64,
}

#[derive(Default)]
struct SpillFile {
    file: OnceLock<File>,
    bytes: AtomicU64,
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    pub file: u16,
    pub offset: u64,
    pub bytes: u32,
}

impl Spill {
    /// Blocks begin at multiples of this: a page that is written whole need not be cleared first.
    pub(crate) const PAGE_BYTES: usize = 4096;

    /// Files in `directory`, made when first needed, of at most `limit_bytes` together.
    pub(crate) fn new(directory: PathBuf, limit_bytes: u64, files: u16) -> Self {
        let files = (0..files).map(|_| SpillFile::default()).collect();
        Self { directory, limit_bytes, files, all_bytes: AtomicU64::new(0) }
    }

    /// How much is in them.
    pub(crate) fn bytes(&self) -> u64 {
        self.all_bytes.load(Ordering::Relaxed)
    }

    /// Appends a block to a file, which only one thread does. What is in `content` after the `used` bytes fills the last
    /// page.
    pub(crate) fn append(&self, file: u16, content: &[u8], used: usize) -> Result<Block, CorpusError> {
        let pages_bytes = used.next_multiple_of(Self::PAGE_BYTES);
        let stored = &content[..pages_bytes.min(content.len())];
        // The disk gives whole pages, even if the last one is not written whole.
        let taken = pages_bytes as u64;
        if self.all_bytes.fetch_add(taken, Ordering::Relaxed) + taken > self.limit_bytes {
            let (directory, limit_bytes) = (self.directory.clone(), self.limit_bytes);
            return Err(CorpusError::SpillLimit { directory, limit_bytes });
        }
        let bytes = u32::try_from(used).map_err(|error| self.failed(io::Error::other(error)))?;
        let end = &self.files[usize::from(file)].bytes;
        let offset = end.load(Ordering::Relaxed);
        self.file(file)
            .and_then(|file| file.write_all_at(stored, offset))
            .map_err(|cause| self.failed(cause))?;
        end.store(offset + taken, Ordering::Relaxed);
        Ok(Block { file, offset, bytes })
    }

    /// Reads a block back.
    pub(crate) fn read(&self, block: Block, into: &mut Vec<u8>) -> Result<(), CorpusError> {
        into.resize(block.bytes as usize, 0);
        self.file(block.file)
            .and_then(|file| file.read_exact_at(into, block.offset))
            .map_err(|cause| self.failed(cause))
    }

    fn failed(&self, cause: io::Error) -> CorpusError {
        CorpusError::Spill { directory: self.directory.clone(), cause }
    }

    fn file(&self, number: u16) -> io::Result<&File> {
        let cell = &self.files[usize::from(number)].file;
        if let Some(file) = cell.get() {
            return Ok(file);
        }
        let file = tempfile::tempfile_in(&self.directory)?;
        Ok(cell.get_or_init(|| file))
    }
}
