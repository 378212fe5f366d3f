//! The loader on real databases and as a real process.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod command;
mod coupon_command;
mod coupon_copies;
mod coupon_harness;
mod coupon_memory;
mod coupon_refusals;
mod coupon_signals;
mod coupons;
mod csv_files;
mod empty_files;
mod harness;
mod interruptions;
mod orders;
mod products;
mod promotions;
mod spellings;
mod spreadsheets;
mod traces;
mod users;
