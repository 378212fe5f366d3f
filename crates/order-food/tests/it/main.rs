//! The API as clients see it, its storage, and the program as a process.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod described;
mod harness;
mod layers;
mod process;
mod routes;
mod server_settings;
mod storage;
mod writer;
