//! The endpoints, one a file. Handlers decode, ask a service, and encode.

pub mod health;
pub mod metrics;
pub mod order;
pub mod page;
pub mod panic;
pub mod product;
