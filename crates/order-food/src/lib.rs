//! The food ordering API. A request goes handler -> service -> repository; [`app`] puts the parts together.

pub mod app;
pub mod command;
pub mod config;
pub mod connections;
pub mod handler;
pub mod metrics;
pub mod middleware;
mod offers;
pub mod openapi;
pub mod repository;
pub mod router;
pub mod service;
