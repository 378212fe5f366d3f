//! The server beneath the routes: its listener, its connections, and how it stops.

pub mod connections;
pub mod in_flight;
pub mod listener;
mod offers;
mod shutdown;

pub use shutdown::{Drain, Stopped};
