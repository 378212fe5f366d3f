//! What `order-food` does beside serving.

pub mod healthcheck;
pub mod keys;
