//! Orders.

pub mod get;
pub mod list;
pub mod place;
pub mod quote;
pub mod request;
pub mod response;
