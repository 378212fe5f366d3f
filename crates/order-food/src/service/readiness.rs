//! Whether this process can take traffic, and if not, what is missing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use database::Unusable;

use crate::service::{ApiKeys, Menu};

/// The facts behind `/readyz` and `/health`.
pub struct Readiness {
    menu: Arc<Menu>,
    keys: Arc<ApiKeys>,
    schema: RwLock<Schema>,
    database: RwLock<DatabaseState>,
    /// Whether orders could be stored at some time since the start.
    was_database_up: AtomicBool,
    /// Settings of the server that may lose acknowledged orders in a crash.
    warnings: RwLock<Vec<String>>,
    /// Advice for the owner of the database where it cannot be read.
    advice: RwLock<Option<&'static str>>,
    /// When what is in memory was last found in step with the database.
    in_step_at: RwLock<Option<Instant>>,
    is_draining: AtomicBool,
}

/// The database when it was last asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseState {
    /// It was not asked yet.
    Unknown,
    /// It answers.
    Up,
    /// It does not answer.
    Down,
    /// It answers and cannot be used, or not for orders.
    Unusable(Unusable),
}

impl DatabaseState {
    /// All that differ in name.
    pub const NAMED: [Self; 6] = [
        Self::Up,
        Self::Down,
        Self::Unusable(Unusable::Standby),
        Self::Unusable(Unusable::ReadOnly),
        Self::Unusable(Unusable::Pooled),
        Self::Unusable(Unusable::Replaced),
    ];

    /// Why it cannot be used although it answers.
    pub const fn unusable(self) -> Option<Unusable> {
        match self {
            Self::Unusable(unusable) => Some(unusable),
            Self::Unknown | Self::Up | Self::Down => None,
        }
    }

    /// The name that clients see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down | Self::Unknown => "down",
            Self::Unusable(unusable) => unusable.name(),
        }
    }
}

/// What is known of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schema {
    /// Nothing yet: the database has not answered since the start.
    Unknown,
    /// Migrations that this release needs and the database lacks, or that contradict it.
    Unfit(Vec<String>),
    /// Everything this release needs is there. This stays so: migrations only add.
    Fit,
}

impl Readiness {
    /// Nothing is known yet.
    pub const fn new(menu: Arc<Menu>, keys: Arc<ApiKeys>) -> Self {
        Self {
            menu,
            keys,
            schema: RwLock::new(Schema::Unknown),
            database: RwLock::new(DatabaseState::Unknown),
            was_database_up: AtomicBool::new(false),
            warnings: RwLock::new(Vec::new()),
            advice: RwLock::new(None),
            in_step_at: RwLock::new(None),
            is_draining: AtomicBool::new(false),
        }
    }

    /// What is missing; nothing is ready. The database being away later on is not among it: the menu is still served,
    /// and every replica would leave its balancer at the same moment. A replaced SQLite file does count: it is this
    /// process's own, and does not come back by itself.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = match (self.schema(), self.database().unusable()) {
            (_, Some(Unusable::Replaced)) => vec![Unusable::Replaced.to_string()],
            (_, Some(Unusable::Pooled)) if !self.was_database_up.load(Ordering::Relaxed) => {
                vec![Unusable::Pooled.to_string()]
            }
            (Schema::Fit, _) => Vec::new(),
            (Schema::Unknown, Some(unusable)) => vec![unusable.to_string()],
            (Schema::Unknown, None) => {
                vec![self.advice().unwrap_or("the database has not answered yet").to_owned()]
            }
            (Schema::Unfit(migrations), _) => migrations,
        };
        if missing.is_empty() {
            if self.menu.current().is_none() {
                missing.push("the menu has not been loaded yet".to_owned());
            }
            if !self.keys.are_loaded() {
                missing.push("the API keys have not been loaded yet".to_owned());
            }
            if self.keys.is_other_pepper() {
                missing.push(
                    "API_KEY_PEPPER is not the one that the API keys were stored with; give this process and \
                     database-load the same"
                        .to_owned(),
                );
            }
        }
        if self.is_draining() {
            missing.push("the process is stopping".to_owned());
        }
        missing
    }

    /// What is known of the schema.
    pub fn schema(&self) -> Schema {
        self.schema.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records what became known of the schema.
    pub fn set_schema(&self, schema: Schema) {
        *self.schema.write().unwrap_or_else(PoisonError::into_inner) = schema;
    }

    /// The database when it was last asked.
    pub fn database(&self) -> DatabaseState {
        *self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records how the database is; returns whether that is news.
    pub fn set_database(&self, state: DatabaseState) -> bool {
        self.was_database_up.fetch_or(state == DatabaseState::Up, Ordering::Relaxed);
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *database, state) != state
    }

    fn advice(&self) -> Option<&'static str> {
        *self.advice.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records advice for the owner of the database.
    pub fn set_advice(&self, advice: Option<&'static str>) {
        *self.advice.write().unwrap_or_else(PoisonError::into_inner) = advice;
    }

    /// Settings of the server that may lose acknowledged orders in a crash.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records these settings; returns whether they are news.
    pub fn set_warnings(&self, warnings: &[String]) -> bool {
        let mut known = self.warnings.write().unwrap_or_else(PoisonError::into_inner);
        let is_news = *known != warnings;
        *known = warnings.to_vec();
        is_news
    }

    /// How long ago what is in memory was last found in step with the database, if it ever was.
    pub fn catalogue_age(&self) -> Option<Duration> {
        self.in_step_at.read().unwrap_or_else(PoisonError::into_inner).map(|moment| moment.elapsed())
    }

    /// Records that what is in memory is what is in the database.
    pub fn record_in_step(&self) {
        *self.in_step_at.write().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether the process was told to stop.
    pub fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// Records that the process was told to stop.
    pub fn start_draining(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }
}
