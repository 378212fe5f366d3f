//! Which coupon files there are, and whether they are the ones that are published.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::thread;

use coupon_corpus::CouponSource;
use sha2::{Digest, Sha256};

use crate::ledger::ContentHash;
use crate::{Interruption, LoadError};

/// One coupon file.
#[derive(Debug, Clone)]
pub(crate) enum CouponFile {
    Path(PathBuf),
    CompiledIn(&'static str, &'static [u8]),
}

/// A file that is opened when it is its turn: there may be more than can be open at a time.
struct Unopened {
    path: PathBuf,
    file: Option<File>,
}

impl Read for Unopened {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.read(buffer),
            None => self.file.insert(File::open(&self.path)?).read(buffer),
        }
    }
}

impl CouponFile {
    /// What to call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::CompiledIn(name, _) => (*name).to_owned(),
        }
    }

    /// The size of the file, as it is on disk.
    pub(crate) fn size_bytes(&self) -> Result<u64, LoadError> {
        Ok(match self {
            Self::Path(path) => fs::metadata(path).map_err(|error| self.unreadable(error))?.len(),
            Self::CompiledIn(_, bytes) => bytes.len() as u64,
        })
    }

    /// The source that the digest reads.
    pub(crate) fn source(&self) -> Result<CouponSource, LoadError> {
        Ok(CouponSource { name: self.name(), size_bytes: self.size_bytes()?, content: self.content() })
    }

    fn content(&self) -> Box<dyn Read + Send> {
        match self {
            Self::Path(path) => Box::new(Unopened { path: path.clone(), file: None }),
            Self::CompiledIn(_, bytes) => Box::new(Cursor::new(*bytes)),
        }
    }

    fn hash(&self, interruption: &Interruption) -> Result<ContentHash, LoadError> {
        // What a pipe holds can be read once only: its hash would be all there is of it.
        if let Self::Path(path) = self
            && !fs::metadata(path).map_err(|error| self.unreadable(error))?.is_file()
        {
            let not_a_file = io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file");
            return Err(self.unreadable(not_a_file));
        }
        let mut content = self.content();
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1024 * 1024];
        loop {
            interruption.check()?;
            let read = content.read(&mut buffer).map_err(|error| self.unreadable(error))?;
            if read == 0 {
                return Ok(hash.finalize().into());
            }
            hash.update(&buffer[..read]);
        }
    }

    fn unreadable(&self, error: io::Error) -> LoadError {
        LoadError::Unreadable(self.name().into(), error)
    }
}

/// The compiled-in samples.
pub(crate) fn compiled_in() -> Vec<CouponFile> {
    vec![
        CouponFile::CompiledIn("couponbase1.gz", include_bytes!("../../../seed/coupons/couponbase1.gz")),
        CouponFile::CompiledIn("couponbase2.gz", include_bytes!("../../../seed/coupons/couponbase2.gz")),
        CouponFile::CompiledIn("couponbase3.gz", include_bytes!("../../../seed/coupons/couponbase3.gz")),
    ]
}

/// The files in a folder, by name; hidden ones and text about the others are none of them. `None` if there is no such
/// folder, or nothing in it.
pub(crate) fn in_folder(folder: &Path) -> Result<Option<Vec<CouponFile>>, LoadError> {
    let unreadable = |error| LoadError::Unreadable(folder.to_owned(), error);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if is_hidden {
            continue;
        }
        // A link to nowhere is a file that is missing.
        let metadata = fs::metadata(&path).map_err(|error| LoadError::Unreadable(path.clone(), error))?;
        if metadata.is_file() && path.extension().is_none_or(|extension| extension != "md") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(if paths.is_empty() { None } else { Some(paths.into_iter().map(CouponFile::Path).collect()) })
}

/// Files as they are named, and the files in folders that are. One that is named twice would count as two.
pub(crate) fn named(paths: &[PathBuf]) -> Result<Vec<CouponFile>, LoadError> {
    let mut files = Vec::new();
    for path in paths {
        let unreadable = |error| LoadError::Unreadable(path.clone(), error);
        if fs::metadata(path).map_err(unreadable)?.is_dir() {
            let nothing = || unreadable(io::Error::new(io::ErrorKind::NotFound, "has no coupon files in it"));
            files.extend(in_folder(path)?.ok_or_else(nothing)?);
        } else {
            files.push(CouponFile::Path(path.clone()));
        }
    }
    let mut seen = HashSet::new();
    for file in &files {
        if let CouponFile::Path(path) = file
            && let Ok(place) = fs::canonicalize(path)
            && !seen.insert(place)
        {
            return Err(file.unreadable(io::Error::new(io::ErrorKind::InvalidInput, "is named twice")));
        }
    }
    Ok(files)
}

/// A hash over all files, in their order, and the rule they are read by.
pub(crate) fn hash(
    files: &[CouponFile],
    format: u8,
    min_files: u32,
    interruption: &Interruption,
) -> Result<ContentHash, LoadError> {
    let mut all = Sha256::new_with_prefix([format]);
    all.update(min_files.to_be_bytes());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    for files in files.chunks(threads) {
        let hashes: Vec<_> = thread::scope(|scope| {
            let hashing: Vec<_> = files.iter().map(|file| scope.spawn(|| file.hash(interruption))).collect();
            let joined = hashing.into_iter().map(thread::ScopedJoinHandle::join);
            joined.map(|hash| hash.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        for hash in hashes {
            all.update(hash?);
        }
    }
    Ok(all.finalize().into())
}
