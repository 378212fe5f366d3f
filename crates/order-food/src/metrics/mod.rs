//! How the shop does: what is counted as it happens. What is looked at when somebody asks is read by the handler.

pub mod definitions;
pub mod http;
mod ordering;

use telemetry::metrics::{BuildError, Registry};

pub use http::HttpMetrics;
pub use ordering::OrderingMetrics;

/// A registry for all metrics of the API, or none where they are switched off.
pub fn registry(is_on: bool) -> Result<Registry, BuildError> {
    if is_on { Registry::new(&definitions::metrics()) } else { Ok(Registry::off()) }
}
