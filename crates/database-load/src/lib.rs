//! Loads data sets from files into the database: validated whole, published at once, skipped when unchanged.

mod amount;
mod candidate;
mod counts;
mod coupon_copies;
mod coupon_digest;
mod coupon_files;
mod coupon_settings;
mod coupons;
mod data_set;
mod error;
mod ledger;
mod load;
mod memory;
mod orders;
mod parsed;
mod pepper;
mod products;
mod promotions;
mod quotes;
mod row;
mod seed;
mod source;
mod spill_limit;
mod table;
mod users;

pub use counts::{Counts, Outcome, Summary};
pub use coupon_digest::find_coupons;
pub use coupon_settings::{CouponArgs, CouponOptions};
pub use data_set::DataSet;
pub use error::{BadData, Fault, LoadError};
pub use load::{Load, Options};
pub use memory::MemoryBudget;
pub use pepper::PepperArgs;
pub use seed::seed_if_never_loaded;
pub use source::{Source, SourceArgs};
pub use spill_limit::SpillLimit;
