//! What `order-food` does beside serving.

pub mod keys;
