//! API keys, kept in memory: who is calling, and may they?

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use domain::{ApiKeyHash, ClientId, Clock, OrderOwner, Pepper, Scope, Scopes, Timestamp};

use storage::{Database, Known, StorageError, StoredKey};

/// Who is calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The client.
    pub client_id: ClientId,
    /// What its key allows.
    pub scopes: Scopes,
}

impl Caller {
    /// The orders that the caller may see.
    pub const fn visible_orders(self) -> OrderOwner {
        if self.scopes.allow(Scope::Admin) { OrderOwner::Anyone } else { OrderOwner::Client(self.client_id) }
    }
}

/// Why a key does not open the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRefused {
    /// Keys have not been loaded yet.
    NotReady,
    /// Unknown, expired or revoked.
    Invalid,
    /// Good, but not for this.
    MissingScope(Scope),
}

/// A key, and when it was last used by requests to this process; 0 is never, or recorded already.
struct Entry {
    stored: StoredKey,
    used_at_micros: AtomicI64,
}

/// All usable keys at one moment.
struct KeyRing {
    entries: HashMap<ApiKeyHash, Entry>,
    is_other_pepper: bool,
}

/// Knows every key.
pub struct ApiKeys {
    database: Database,
    pepper: Pepper,
    clock: Arc<dyn Clock>,
    ring: ArcSwapOption<KeyRing>,
    /// How many scopes of keys this release does not know.
    unknown_scopes: AtomicUsize,
}

impl ApiKeys {
    /// Keys that have not been loaded yet.
    pub fn new(database: Database, pepper: Pepper, clock: Arc<dyn Clock>) -> Self {
        Self { database, pepper, clock, ring: ArcSwapOption::empty(), unknown_scopes: AtomicUsize::new(0) }
    }

    /// Who presents `key`, if it is good for `scope`. Asks nothing but memory.
    pub fn authenticate(&self, key: &str, scope: Scope) -> Result<Caller, KeyRefused> {
        let (ring, now) = (self.ring.load(), self.clock.now());
        let entry = self.entry(ring.as_deref(), key, now)?;
        entry.used_at_micros.store(now.micros(), Ordering::Relaxed);
        if !entry.stored.scopes.allow(scope) {
            return Err(KeyRefused::MissingScope(scope));
        }
        Ok(Caller { client_id: entry.stored.client_id, scopes: entry.stored.scopes })
    }

    /// Whether the key is good for `scope`. This does not count as a use of the key.
    pub fn accepts(&self, key: &str, scope: Scope) -> bool {
        let ring = self.ring.load();
        let entry = self.entry(ring.as_deref(), key, self.clock.now());
        entry.is_ok_and(|entry| entry.stored.scopes.allow(scope))
    }

    fn entry<'r>(
        &self,
        ring: Option<&'r KeyRing>,
        key: &str,
        now: Timestamp,
    ) -> Result<&'r Entry, KeyRefused> {
        let ring = ring.ok_or(KeyRefused::NotReady)?;
        let entry = ring.entries.get(&self.pepper.hash(key)).ok_or(KeyRefused::Invalid)?;
        let is_over = entry.stored.expires_at.is_some_and(|expires_at| expires_at <= now);
        if is_over { Err(KeyRefused::Invalid) } else { Ok(entry) }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ring.load().as_ref().map_or(0, |ring| ring.entries.len())
    }

    /// How many scopes of keys this release does not know.
    pub fn unknown_scopes(&self) -> usize {
        self.unknown_scopes.load(Ordering::Relaxed)
    }

    /// Reads all keys again and puts them in place at once.
    pub async fn reload(&self) -> Result<(), StorageError> {
        let Known { items, unknown } = self.database.api_keys().await?;
        if unknown > 0 {
            tracing::warn!(
                scopes = unknown,
                "keys have scopes that this release does not know; they allow nothing here"
            );
        }
        self.unknown_scopes.store(unknown, Ordering::Relaxed);
        self.replace(items);
        Ok(())
    }

    /// Puts these keys in place of all others.
    pub fn replace(&self, stored: Vec<StoredKey>) {
        let fingerprint = self.pepper.fingerprint();
        let total = stored.len();
        let before = self.ring.load();
        let used_before = |hash: &ApiKeyHash| {
            let entry = before.as_ref().and_then(|ring| ring.entries.get(hash));
            AtomicI64::new(entry.map_or(0, |entry| entry.used_at_micros.load(Ordering::Relaxed)))
        };
        let entries: HashMap<_, _> = stored
            .into_iter()
            .filter(|key| key.pepper_fingerprint == fingerprint)
            .map(|stored| (stored.hash, Entry { used_at_micros: used_before(&stored.hash), stored }))
            .collect();
        let foreign = total - entries.len();
        if foreign > 0 {
            tracing::warn!(keys = foreign, "keys hashed under another API_KEY_PEPPER cannot be used");
        }
        tracing::info!(keys = entries.len(), "the API keys were read");
        let is_other_pepper = entries.is_empty() && foreign > 0;
        self.ring.store(Some(Arc::new(KeyRing { entries, is_other_pepper })));
    }

    /// Stores when keys were last used, of those that were used since the last time.
    pub async fn record_uses(&self) -> Result<(), StorageError> {
        let Some(ring) = self.ring.load_full() else { return Ok(()) };
        let take = |entry: &Entry| match entry.used_at_micros.swap(0, Ordering::Relaxed) {
            0 => None,
            micros => Some((entry.stored.id, Timestamp::from_micros(micros))),
        };
        let uses: Vec<_> = ring.entries.values().filter_map(take).collect();
        if uses.is_empty() { Ok(()) } else { self.database.record_key_uses(&uses).await }
    }

    /// Whether keys were ever loaded.
    pub fn are_loaded(&self) -> bool {
        self.ring.load().is_some()
    }

    /// Whether there are keys, but all of them hashed under another pepper than this process has.
    pub fn is_other_pepper(&self) -> bool {
        self.ring.load().as_ref().is_some_and(|ring| ring.is_other_pepper)
    }
}
