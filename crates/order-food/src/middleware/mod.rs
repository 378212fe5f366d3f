//! What happens around every request.

mod cors;
pub mod in_flight;
pub mod request;
pub mod trace;

pub use cors::cors;
