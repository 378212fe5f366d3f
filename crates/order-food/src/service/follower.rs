//! Keeps what is in memory in step with the database: other processes change menu and keys.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::repository::{ChangeCounters, ChangeRepository, RepositoryError};
use crate::service::readiness::Schema;
use crate::service::{Keys, Menu, Promotions, Readiness};

/// Polls the change counters, one row, and reloads what changed.
pub struct Follower {
    changes: Arc<dyn ChangeRepository>,
    menu: Arc<Menu>,
    keys: Arc<Keys>,
    promotions: Arc<Promotions>,
    readiness: Arc<Readiness>,
    seen: Option<ChangeCounters>,
}

impl Follower {
    /// How often the counters are read; with one reload on top, every process follows within a second.
    const POLL_INTERVAL: Duration = Duration::from_millis(500);

    /// A follower that has seen nothing yet.
    pub fn new(
        changes: Arc<dyn ChangeRepository>,
        menu: Arc<Menu>,
        keys: Arc<Keys>,
        promotions: Arc<Promotions>,
        readiness: Arc<Readiness>,
    ) -> Self {
        Self { changes, menu, keys, promotions, readiness, seen: None }
    }

    /// Follows until dropped.
    pub async fn run(mut self) {
        let mut ticks = interval(Self::POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.follow().await;
        }
    }

    /// One look at the database.
    pub async fn follow(&mut self) {
        let outcome = self.refresh().await;
        let is_news = self.readiness.set_database_up(outcome.is_ok());
        match outcome {
            Ok(()) if is_news => tracing::info!("the database answers"),
            Err(error) if is_news || !matches!(error, RepositoryError::Unavailable(_)) => {
                tracing::error!(
                    cause = telemetry::causes(&error),
                    "the database does not answer; serving from memory"
                );
            }
            Ok(()) | Err(_) => {}
        }
    }

    async fn refresh(&mut self) -> Result<(), RepositoryError> {
        if self.readiness.schema() != Schema::Fit {
            let state = self.changes.schema().await?;
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
        let counters = self.changes.counters().await?;
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
        self.seen = Some(counters);
        self.readiness.note_in_step();
        Ok(())
    }
}
