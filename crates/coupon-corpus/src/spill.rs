//! What does not fit into memory, in a file without a name: it goes away with the process, however that ends.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::CorpusError;

/// A file that grows by blocks; many threads write and read it.
pub(crate) struct Spill {
    directory: PathBuf,
    limit_bytes: u64,
    file: OnceLock<File>,
    length: AtomicU64,
}

/// A part of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    pub offset: u64,
    pub bytes: u32,
}

impl Spill {
    /// A file in `directory`, made when first needed, of at most `limit_bytes`.
    pub(crate) fn new(directory: PathBuf, limit_bytes: u64) -> Self {
        Self { directory, limit_bytes, file: OnceLock::new(), length: AtomicU64::new(0) }
    }

    /// How much is in it.
    pub(crate) fn bytes(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }

    /// Appends a block.
    pub(crate) fn append(&self, content: &[u8]) -> Result<Block, CorpusError> {
        let failed = |cause| CorpusError::Spill { directory: self.directory.clone(), cause };
        let file = self.file().map_err(failed)?;
        let offset = self.length.fetch_add(content.len() as u64, Ordering::Relaxed);
        if offset + content.len() as u64 > self.limit_bytes {
            return Err(CorpusError::SpillLimit {
                directory: self.directory.clone(),
                limit_bytes: self.limit_bytes,
            });
        }
        file.write_all_at(content, offset).map_err(failed)?;
        let bytes = u32::try_from(content.len()).map_err(|error| failed(io::Error::other(error)))?;
        Ok(Block { offset, bytes })
    }

    /// Reads a block back.
    pub(crate) fn read(&self, block: Block, into: &mut Vec<u8>) -> Result<(), CorpusError> {
        let failed = |cause| CorpusError::Spill { directory: self.directory.clone(), cause };
        into.resize(block.bytes as usize, 0);
        self.file().and_then(|file| file.read_exact_at(into, block.offset)).map_err(failed)
    }

    fn file(&self) -> io::Result<&File> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = tempfile::tempfile_in(&self.directory)?;
        // Two threads may make one at the same time; one of them is kept.
        Ok(self.file.get_or_init(|| file))
    }
}
