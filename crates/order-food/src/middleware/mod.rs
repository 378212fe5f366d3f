//! What happens around every request.

pub mod admission;
mod cors;
pub mod request;
pub mod trace;

pub use cors::cors;
