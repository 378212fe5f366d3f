//! API keys, kept in memory: who is calling, and may they?

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use domain::{ApiKeyHash, ClientId, Clock, Pepper, Scope, Scopes};

use crate::repository::{KeyRepository, OrderOwner, RepositoryError, StoredKey};

/// Who is calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The client.
    pub client_id: ClientId,
    /// What its key allows.
    pub scopes: Scopes,
}

impl Caller {
    /// Whose orders the caller may see.
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

/// All usable keys at one moment.
struct KeyRing {
    keys: HashMap<ApiKeyHash, StoredKey>,
    is_other_pepper: bool,
}

/// Knows every key.
pub struct Keys {
    repository: Arc<dyn KeyRepository>,
    pepper: Pepper,
    clock: Arc<dyn Clock>,
    ring: ArcSwapOption<KeyRing>,
}

impl Keys {
    /// Keys that have not been loaded yet.
    pub fn new(repository: Arc<dyn KeyRepository>, pepper: Pepper, clock: Arc<dyn Clock>) -> Self {
        Self { repository, pepper, clock, ring: ArcSwapOption::empty() }
    }

    /// Who presents `key`, if it is good for `scope`. Asks nothing but memory.
    pub fn authenticate(&self, key: &str, scope: Scope) -> Result<Caller, KeyRefused> {
        let ring = self.ring.load();
        let ring = ring.as_ref().ok_or(KeyRefused::NotReady)?;
        let stored = ring.keys.get(&self.pepper.hash(key)).ok_or(KeyRefused::Invalid)?;
        if stored.expires_at.is_some_and(|expires_at| expires_at <= self.clock.now()) {
            return Err(KeyRefused::Invalid);
        }
        if !stored.scopes.allow(scope) {
            return Err(KeyRefused::MissingScope(scope));
        }
        Ok(Caller { client_id: stored.client_id, scopes: stored.scopes })
    }

    /// Reads all keys again and puts them in place at once.
    pub async fn reload(&self) -> Result<(), RepositoryError> {
        let stored = self.repository.keys().await?;
        let fingerprint = self.pepper.fingerprint();
        let total = stored.len();
        let keys: HashMap<_, _> = stored
            .into_iter()
            .filter(|key| key.pepper_fingerprint == fingerprint)
            .map(|key| (key.hash, key))
            .collect();
        let foreign = total - keys.len();
        if foreign > 0 {
            tracing::warn!(keys = foreign, "keys hashed under another API_KEY_PEPPER cannot be used");
        }
        tracing::info!(keys = keys.len(), "the API keys were read");
        let is_other_pepper = keys.is_empty() && foreign > 0;
        self.ring.store(Some(Arc::new(KeyRing { keys, is_other_pepper })));
        Ok(())
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
