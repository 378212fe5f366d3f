//! The API from outside, laid out as its paths are.

mod cors;
mod every_route;
mod health;
mod keys;
mod order_get;
mod order_list;
mod order_post;
mod panic;
mod product;
