//! The file behind SQLite connections. Data that is written into a removed file is gone with the process.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::Unusable;

/// Device and inode.
type Identity = (u64, u64);

/// A path, and the file that it named when the database was opened. Cloning gives another handle to the same memory.
#[derive(Debug, Clone)]
pub struct SqliteFile {
    path: PathBuf,
    opened: Arc<OnceLock<Identity>>,
}

/// The files beside the database that an open connection uses: the write-ahead log and its index. SQLite keeps them for
/// as long as a connection is open.
#[derive(Debug)]
pub struct WriteAheadLog(Vec<(PathBuf, Identity)>);

impl SqliteFile {
    /// A file that has not been opened yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), opened: Arc::new(OnceLock::new()) }
    }

    /// Remembers the file that the path names now, unless one is known already. Call it while a connection is open.
    pub fn opened(&self) {
        if let Some(identity) = identity(&self.path) {
            self.opened.get_or_init(|| identity);
        }
    }

    /// Checks that the path still names the file that was opened.
    pub fn check(&self) -> Result<(), Unusable> {
        match self.opened.get() {
            Some(opened) if identity(&self.path) != Some(*opened) => Err(Unusable::Replaced),
            Some(_) | None => Ok(()),
        }
    }

    /// The write-ahead log as it is now. Call it while a connection is open that has read.
    pub fn write_ahead_log(&self) -> WriteAheadLog {
        // The log is beside the target of a link. A path that is no link stays as it is: its folder may be moved.
        let is_link = fs::symlink_metadata(&self.path).is_ok_and(|file| file.is_symlink());
        let target = is_link.then(|| fs::canonicalize(&self.path).ok()).flatten();
        let path = target.unwrap_or_else(|| self.path.clone());
        let beside = |suffix: &str| {
            let mut path: OsString = path.clone().into();
            path.push(suffix);
            let path = PathBuf::from(path);
            identity(&path).map(|identity| (path, identity))
        };
        WriteAheadLog(["-wal", "-shm"].into_iter().filter_map(beside).collect())
    }
}

impl WriteAheadLog {
    /// Checks that the paths still name the same files.
    pub fn check(&self) -> Result<(), Unusable> {
        let is_there = self.0.iter().all(|(path, opened)| identity(path) == Some(*opened));
        if is_there { Ok(()) } else { Err(Unusable::Replaced) }
    }
}

fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_must_go_on_naming_the_opened_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        let file = SqliteFile::new(&path);
        assert_eq!(file.check(), Ok(()), "nothing was opened yet");
        fs::write(&path, "first").unwrap();
        file.opened();
        fs::write(&path, "changed").unwrap();
        assert_eq!(file.check(), Ok(()));

        let elsewhere = folder.path().join("elsewhere.db");
        fs::rename(&path, &elsewhere).unwrap();
        assert_eq!(file.check(), Err(Unusable::Replaced), "moved away");
        fs::write(&path, "another").unwrap();
        file.opened();
        assert_eq!(file.check(), Err(Unusable::Replaced), "another file in its place");
        fs::rename(&elsewhere, &path).unwrap();
        assert_eq!(file.check(), Ok(()), "put back");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &path).unwrap();
        assert_eq!(file.check(), Err(Unusable::Replaced), "a link to nowhere");
    }

    #[test]
    fn a_removed_write_ahead_log_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = SqliteFile::new(&folder.path().join("shop.db"));
        let path = folder.path().join("shop.db-wal");
        assert_eq!(file.write_ahead_log().check(), Ok(()), "there is none yet");
        fs::write(&path, "frames").unwrap();
        let log = file.write_ahead_log();
        assert_eq!(log.check(), Ok(()));
        fs::remove_file(&path).unwrap();
        assert_eq!(log.check(), Err(Unusable::Replaced));
    }

    #[test]
    fn the_log_is_beside_what_a_link_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.db"), folder.path().join("link.db"));
        for suffix in ["", "-wal", "-shm"] {
            fs::write(folder.path().join(format!("real.db{suffix}")), "x").unwrap();
        }
        std::os::unix::fs::symlink(&real, &link).unwrap();
        for suffix in ["-wal", "-shm"] {
            let log = SqliteFile::new(&link).write_ahead_log();
            assert_eq!(log.check(), Ok(()));
            fs::rename(folder.path().join(format!("real.db{suffix}")), folder.path().join("away")).unwrap();
            assert_eq!(log.check(), Err(Unusable::Replaced), "{suffix}");
        }
    }
}
