//! The API as clients see it, its repositories, and the program as a process.
#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used)]

mod described;
mod harness;
mod process;
mod repository;
mod routes;
mod server_settings;
mod writer;
