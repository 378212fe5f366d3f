//! The migrator on real databases and as a real process.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod command;
mod parity;
mod traces;
mod up;
