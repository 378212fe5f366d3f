//! Keeps what is in memory in step with the database: other processes change menu and keys.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use database::{Pools, Unusable};
use futures_util::FutureExt;
use storage::{ChangeCounters, Database, OrderWriter, StorageError};
use tokio::time::{MissedTickBehavior, interval};

use crate::service::readiness::{DatabaseState, Schema};
use crate::service::{ApiKeys, Menu, Promotions, Readiness, ShopSettings};
use crate::state::Catalogue;

/// Polls the change counters, one row, and reloads what changed.
pub struct Follower {
    database: Database,
    /// Asked for its own state: its connections may lead to another server.
    writer: OrderWriter,
    /// The connections of everything but the writer.
    pools: Pools,
    menu: Arc<Menu>,
    keys: Arc<ApiKeys>,
    promotions: Arc<Promotions>,
    shop: Arc<ShopSettings>,
    readiness: Arc<Readiness>,
    seen: Option<ChangeCounters>,
    /// What was logged last: a fault that stays is logged once.
    logged: Option<String>,
}

impl Follower {
    /// How often the counters are read; with one reload on top, every process follows within a second.
    const POLL_INTERVAL: Duration = Duration::from_millis(500);

    /// A follower that has seen nothing yet.
    pub fn new(database: Database, writer: OrderWriter, pools: Pools, catalogue: &Catalogue) -> Self {
        let Catalogue { menu, promotions, api_keys, shop, readiness } = catalogue;
        Self {
            database,
            writer,
            pools,
            menu: menu.clone(),
            keys: api_keys.clone(),
            promotions: promotions.clone(),
            shop: shop.clone(),
            readiness: readiness.clone(),
            seen: None,
            logged: None,
        }
    }

    /// Follows until dropped.
    pub async fn run(mut self) {
        let mut ticks = interval(Self::POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // A look that panics must not be the last.
            if AssertUnwindSafe(self.follow()).catch_unwind().await.is_err() {
                self.seen = None;
            }
        }
    }

    /// One look at the database.
    pub async fn follow(&mut self) {
        let unusable = self.writer.unusable();
        self.pools.set_blocked(unusable == Some(Unusable::Pooled));
        let outcome = self.refresh().await;
        let seen = match &outcome {
            Ok(()) => DatabaseState::Up,
            Err(error) => error.unusable().map_or(DatabaseState::Down, DatabaseState::Unusable),
        };
        let state = unusable.map_or(seen, DatabaseState::Unusable);
        let is_news = self.readiness.set_database(state);
        let advice = outcome.as_ref().err().and_then(StorageError::advice);
        self.readiness.set_advice(advice);
        // A database that is away may fail in another way each time, so its errors are not compared.
        let fault = match (&outcome, state) {
            (_, DatabaseState::Unusable(unusable)) => Some(unusable.to_string()),
            (Ok(()) | Err(StorageError::Unavailable(_)), _) => None,
            (Err(error), _) => Some(telemetry::causes(error, database::words)),
        };
        let is_news = is_news || fault != self.logged;
        self.logged = fault;
        match (&outcome, state) {
            _ if !is_news => {}
            (_, DatabaseState::Unusable(unusable)) => {
                tracing::error!(state = unusable.name(), "{unusable}; no orders are taken");
            }
            (Ok(()), _) => tracing::info!("the database answers"),
            (Err(error), _) => {
                let cause = telemetry::causes(error, database::words);
                tracing::error!(cause, advice, "the database does not answer; serving from memory");
            }
        }
    }

    async fn refresh(&mut self) -> Result<(), StorageError> {
        let settings = self.database.unsafe_settings().await?;
        if self.readiness.set_warnings(&settings) && !settings.is_empty() {
            let settings = settings.join(", ");
            tracing::warn!(settings, "the database may lose acknowledged orders when its machine crashes");
        }
        self.reload().await
    }

    async fn reload(&mut self) -> Result<(), StorageError> {
        if self.readiness.schema() != Schema::Fit {
            let state = self.database.schema().await?;
            let unfit: Vec<_> = state
                .pending
                .iter()
                .map(|migration| format!("migration {migration} is missing: run database-migration"))
                .chain(state.conflicts.iter().map(ToString::to_string))
                .collect();
            let schema = if unfit.is_empty() { Schema::Fit } else { Schema::Unfit(unfit) };
            if schema != self.readiness.schema() {
                tracing::info!(?schema, "the schema was checked");
            }
            self.readiness.set_schema(schema.clone());
            if schema != Schema::Fit {
                return Ok(());
            }
        }
        // Counters first: what changes while reading below is read again next time.
        let counters = self.database.change_counters().await?;
        if self.seen.is_none_or(|seen| seen.menu != counters.menu) {
            self.menu.reload().await?;
        }
        if self.seen.is_none_or(|seen| seen.api_keys != counters.api_keys) {
            self.keys.reload().await?;
        }
        if self.seen.is_none_or(|seen| seen.promotions != counters.promotions) {
            self.promotions.reload().await?;
        }
        if self.seen.is_none_or(|seen| seen.coupons != counters.coupons) {
            self.promotions.reload_corpus().await?;
        }
        if self.seen.is_none_or(|seen| seen.shop != counters.shop) {
            self.shop.reload().await?;
        }
        self.seen = Some(counters);
        self.readiness.record_in_step();
        Ok(())
    }
}
