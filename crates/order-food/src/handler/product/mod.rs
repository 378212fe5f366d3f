//! The menu.

pub mod get;
pub mod list;
