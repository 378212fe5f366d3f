//! The words of the business, without I/O: what a price, a product, an order, a promotion and an API key are, and the
//! rules that hold for them. Every type here is built by parsing; a value that exists is a valid one.

pub mod api_key;
pub mod code_set;
pub mod coupon;
pub mod idempotency;
pub mod money;
pub mod order;
pub mod order_status;
pub mod placement;
pub mod pricing;
pub mod product;
pub mod promotion;
pub mod shop;
mod spellings;
pub mod text;
mod time;

pub use api_key::{ApiKeyHash, ClientId, Pepper, Scope, Scopes};
pub use code_set::CodeSet;
pub use coupon::CouponCode;
pub use idempotency::IdempotencyKey;
pub use money::Money;
pub use order::{Order, OrderId, OrderItem, OrderLine, OrderSnapshot, Quantity};
pub use order_status::OrderStatus;
pub use placement::{
    CounterUse, CouponSource, KeyClaim, LimitKind, NewOrder, OrderOwner, Placement, Redemption,
    StoredResponse,
};
pub use pricing::{PromotionRefused, price};
pub use product::{Product, ProductId, ProductImage};
pub use promotion::{Promotion, PromotionKind};
pub use shop::{Currency, Shop};
pub use spellings::{Named, Spellings};
pub use time::{Clock, SystemClock, Timestamp};
