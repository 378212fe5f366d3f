//! The loader on real databases and as a real process.
#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used)]

mod command;
mod coupons;
mod harness;
mod orders;
mod products;
mod promotions;
mod users;
