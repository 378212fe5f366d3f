//! What the business does, between HTTP and the database.

pub mod follower;
pub mod housekeeping;
pub mod keys;
pub mod limits;
pub mod menu;
pub mod ordering;
pub mod promotions;
pub mod readiness;
pub mod representation;

pub use follower::Follower;
pub use housekeeping::Housekeeping;
pub use keys::{Caller, KeyRefused, Keys};
pub use limits::RateLimits;
pub use menu::{Menu, MenuSnapshot};
pub use ordering::{Cart, OrderRefused, Ordering, PlacedOrder};
pub use promotions::Promotions;
pub use readiness::Readiness;
pub use representation::Representation;
