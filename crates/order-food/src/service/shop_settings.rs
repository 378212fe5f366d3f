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

    /// Reads the settings again and puts them in place at once. A database that does not let this process read them, as
    /// where its role has no right on a new table, is no reason not to follow the rest.
    pub async fn reload(&self) -> Result<(), StorageError> {
        let Known { items: shop, unknown } = match self.database.shop().await {
            Ok(known) => known,
            Err(error @ (StorageError::Other(_) | StorageError::Inconsistent { .. })) => {
                let (cause, advice) = (telemetry::causes(&error, database::words), error.advice());
                tracing::error!(
                    cause,
                    advice,
                    "the settings of the shop cannot be read; those from before hold"
                );
                return Ok(());
            }
            Err(error) => return Err(error),
        };
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
