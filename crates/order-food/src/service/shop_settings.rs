//! The settings of the shop, kept in memory.

use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::Shop;
use storage::{Database, Known, StorageError};

/// Serves the present settings and replaces them.
pub struct ShopSettings {
    database: Database,
    current: ArcSwap<Shop>,
}

impl ShopSettings {
    /// The settings of a shop that has set nothing, until they are read.
    pub fn new(database: Database) -> Self {
        Self { database, current: ArcSwap::default() }
    }

    /// The settings now.
    pub fn current(&self) -> Arc<Shop> {
        self.current.load_full()
    }

    /// Reads the settings again and puts them in place at once.
    pub async fn reload(&self) -> Result<(), StorageError> {
        let Known { items: shop, unknown } = self.database.shop().await?;
        if unknown > 0 {
            tracing::warn!(
                members = unknown,
                "settings of the shop cannot be read by this release; their defaults hold here"
            );
        }
        tracing::info!(
            currency = shop.currency.as_str(),
            time_zone = &*shop.time_zone,
            "the settings of the shop were read"
        );
        self.current.store(Arc::new(shop));
        Ok(())
    }
}
