//! What happens around every request.

pub mod admission;
mod cors;
pub mod in_flight;
pub mod request;
pub mod trace;

pub use cors::cors;
