//! What the business does, between HTTP and the database.

pub mod api_keys;
pub mod menu;
pub mod ordering;
pub mod promotions;
pub mod rate_limits;
pub mod readiness;
pub mod representation;
pub mod shop_settings;

pub use api_keys::{ApiKeys, Caller, KeyRefused};
pub use menu::{Menu, MenuSnapshot};
pub use ordering::{Cart, OrderRefused, Ordering, Placed};
pub use promotions::Promotions;
pub use rate_limits::RateLimits;
pub use readiness::Readiness;
pub use representation::Representation;
pub use shop_settings::ShopSettings;
