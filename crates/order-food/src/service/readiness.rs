//! Whether this process can take traffic, and if not, what is missing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::service::{Keys, Menu};

/// The facts behind `/readyz` and `/health`.
pub struct Readiness {
    menu: Arc<Menu>,
    keys: Arc<Keys>,
    schema: RwLock<Schema>,
    /// `None` before the first look.
    is_database_up: RwLock<Option<bool>>,
    /// When what is in memory was last found in step with the database.
    in_step_at: RwLock<Option<Instant>>,
    is_draining: AtomicBool,
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
    pub const fn new(menu: Arc<Menu>, keys: Arc<Keys>) -> Self {
        Self {
            menu,
            keys,
            schema: RwLock::new(Schema::Unknown),
            is_database_up: RwLock::new(None),
            in_step_at: RwLock::new(None),
            is_draining: AtomicBool::new(false),
        }
    }

    /// What is missing; nothing is ready. The database being away later on is not among it: the menu is still served,
    /// and every replica would leave its balancer at the same moment.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = match self.schema() {
            Schema::Fit => Vec::new(),
            Schema::Unknown => vec!["the database has not answered yet".to_owned()],
            Schema::Unfit(migrations) => migrations,
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

    /// Notes what became known of the schema.
    pub fn set_schema(&self, schema: Schema) {
        *self.schema.write().unwrap_or_else(PoisonError::into_inner) = schema;
    }

    /// Whether the database answered when it was last asked.
    pub fn is_database_up(&self) -> bool {
        self.is_database_up.read().unwrap_or_else(PoisonError::into_inner).unwrap_or_default()
    }

    /// Notes whether the database answered; returns whether that is news.
    pub fn set_database_up(&self, is_up: bool) -> bool {
        self.is_database_up.write().unwrap_or_else(PoisonError::into_inner).replace(is_up) != Some(is_up)
    }

    /// How long ago what is in memory was last found in step with the database, if it ever was.
    pub fn catalogue_age(&self) -> Option<Duration> {
        self.in_step_at.read().unwrap_or_else(PoisonError::into_inner).map(|moment| moment.elapsed())
    }

    /// Notes that what is in memory is what is in the database.
    pub fn note_in_step(&self) {
        *self.in_step_at.write().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether the process was told to stop.
    pub fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// Notes that the process was told to stop.
    pub fn start_draining(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }
}
