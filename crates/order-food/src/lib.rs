//! The food ordering API. A request goes handler -> service -> storage; [`app`] puts the parts together.

pub mod app;
pub mod cli;
pub mod config;
pub mod handler;
pub mod http;
pub mod metrics;
pub mod middleware;
pub mod openapi;
pub mod router;
pub mod server;
pub mod service;
pub mod state;
pub mod task;
