//! Health, for orchestrators and for people.

pub mod detail;
pub mod live;
pub mod ready;
