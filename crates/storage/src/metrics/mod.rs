//! What storage measures.

mod database;
pub mod definitions;
mod placement;

pub use database::DatabaseMetrics;
pub use definitions::METRICS;
pub use placement::{PlacementMetrics, WriterMetrics};
