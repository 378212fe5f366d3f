//! HTTP: one endpoint a file. Handlers decode, ask a service, and encode.

pub mod accept;
pub mod authentication;
pub mod body;
pub mod cached;
pub mod docs;
pub mod error;
pub mod fault;
pub mod health;
pub mod idempotency;
pub mod json;
pub mod limits;
pub mod metrics;
pub mod order;
pub mod product;
pub mod query;
pub mod reason;
pub mod welcome;
