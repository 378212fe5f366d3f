//! What handlers and middleware share about HTTP: reading requests, checking callers, writing responses and errors.

pub mod authentication;
pub mod authorized;
pub mod body;
pub mod cached;
pub mod decode;
pub mod error;
pub mod fault;
pub mod idempotency;
pub mod json;
pub mod negotiation;
pub mod query;
pub mod rate_limit;
pub mod reason;
pub mod request_context;
