//! SQLite's file and its write-ahead log while the writer has them open. Their paths may come to name other files: what is
//! written to a removed file is gone with the process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use database::{SqliteFile, Unusable};
use sqlx::SqliteConnection;

use super::deadline::within;
use super::sqlite;
use super::status::Status;

pub(super) struct OpenFile {
    file: SqliteFile,
    log: Log,
    status: Arc<Status>,
}

/// The write-ahead log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    Present,
    /// It was removed. Other connections do not see what is written from then on, and only the writer's has what it held.
    Gone,
    /// It was removed; what it held is in the file.
    Saved,
}

impl OpenFile {
    const SAVE_DEADLINE: Duration = Duration::from_millis(1500);

    pub(super) fn new(path: &Path, status: Arc<Status>) -> Self {
        Self { file: SqliteFile::new(path), log: Log::Present, status }
    }

    /// Remembers the files of a new connection.
    pub(super) async fn open(
        &self,
        connection: &mut SqliteConnection,
        deadline: Duration,
    ) -> Result<(), sqlx::Error> {
        within(deadline, sqlite::open_log(connection)).await?;
        self.file.opened();
        self.status.set_log(Some(self.file.write_ahead_log()));
        Ok(())
    }

    /// Whether the paths name the files that are open.
    pub(super) fn check(&self) -> Result<(), Unusable> {
        if self.log != Log::Present {
            return Err(Unusable::Replaced);
        }
        self.file.check()?;
        self.status.check_log()
    }

    /// Whether only the open connection still has what the log holds. It is kept until that is saved.
    pub(super) fn has_log_to_save(&self) -> bool {
        self.log == Log::Gone
    }

    /// Where only the log was removed, copies what it held into the file.
    pub(super) async fn save_log(&mut self, connection: &mut SqliteConnection) {
        let is_whole = self.log == Log::Present && self.status.check_log().is_ok();
        if is_whole || self.log == Log::Saved || self.file.check().is_err() {
            return;
        }
        let is_news = self.log == Log::Present;
        let saved = within(Self::SAVE_DEADLINE, sqlite::checkpoint(connection)).await;
        let is_saved = matches!(saved, Ok(true));
        self.log = if is_saved { Log::Saved } else { Log::Gone };
        if is_news || is_saved {
            let cause = saved.as_ref().err().map(|error| telemetry::causes(error, database::words));
            tracing::error!(cause, is_saved, "SQLite's -wal or -shm was removed while it was in use");
        }
    }
}
