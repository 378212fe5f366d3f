//! What the shop keeps, in SQL: the only crate beside the jobs that knows SQL. Driver errors become
//! [`StorageError`] here and nowhere else.

mod api_keys;
pub mod change_counters;
mod database;
mod error;
mod idempotency_keys;
pub mod key_administration;
mod known;
pub mod metrics;
mod order_writer;
mod orders;
mod products;
mod promotions;
mod shop;
mod use_counters;

pub use api_keys::StoredKey;
pub use change_counters::{ChangeCounters, Changed};
pub use database::Database;
pub use error::StorageError;
pub use known::Known;
pub use order_writer::{OrderWriter, PlaceResult};
