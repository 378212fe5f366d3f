//! The API from outside, laid out as its paths are.

mod cors;
mod coupons;
mod every_route;
mod health;
mod idempotency;
mod keys;
mod limits;
mod metrics;
mod offers;
mod openapi;
mod order_get;
mod order_list;
mod order_post;
mod panic;
mod product;
