//! What others may know of the writers' connections.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use database::{Unusable, WriteAheadLog};

/// Shared by the writers and those who ask.
#[derive(Default)]
pub(super) struct Status {
    /// How many writers have a connection.
    connected: AtomicUsize,
    /// Why a writer does not use the database that it has reached.
    unusable: Mutex<Option<Unusable>>,
    /// SQLite's, of the open connection.
    log: Mutex<Option<WriteAheadLog>>,
}

impl Status {
    pub(super) fn connected(&self) -> usize {
        self.connected.load(Ordering::Relaxed)
    }

    pub(super) fn count_connected(&self) {
        self.connected.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_disconnected(&self) {
        self.connected.fetch_sub(1, Ordering::Relaxed);
    }

    /// Why orders cannot be stored in the database that was reached.
    pub(super) fn unusable(&self) -> Option<Unusable> {
        if self.connected() > 0 {
            return self.check_log().err();
        }
        *self.unusable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records how the last attempt to connect went.
    pub(super) fn set_unusable(&self, unusable: Option<Unusable>) {
        *self.unusable.lock().unwrap_or_else(PoisonError::into_inner) = unusable;
    }

    pub(super) fn set_log(&self, log: Option<WriteAheadLog>) {
        *self.log.lock().unwrap_or_else(PoisonError::into_inner) = log;
    }

    pub(super) fn check_log(&self) -> Result<(), Unusable> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.as_ref().map_or(Ok(()), WriteAheadLog::check)
    }
}
