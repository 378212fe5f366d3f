//! What the business does, between HTTP and the database.

pub mod follower;
pub mod keys;
pub mod menu;
pub mod ordering;
pub mod readiness;

pub use follower::Follower;
pub use keys::{Caller, KeyRefused, Keys};
pub use menu::{Menu, MenuSnapshot};
pub use ordering::{Cart, OrderRefused, Ordering};
pub use readiness::Readiness;
