//! Promotions: codes that take something off an order.

use crate::{CouponCode, Money, Timestamp};

/// How a promotion's discount is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromotionKind {
    /// A part of the subtotal, in hundredths of a percent: 1800 is 18 %. At most 10000.
    Percentage {
        /// The part.
        basis_points: u16,
    },
    /// A fixed amount.
    Fixed {
        /// The amount.
        amount: Money,
    },
    /// One unit of the cheapest product in the cart is free.
    FreeLowest,
}

/// A promotion with its conditions and limits; how often it was used is counted elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// The code that asks for it.
    pub code: CouponCode,
    /// What it takes off.
    pub kind: PromotionKind,
    /// How many units (quantities added up) a cart needs.
    pub min_items: u32,
    /// How much a cart must be worth.
    pub min_subtotal: Money,
    /// The most it takes off.
    pub max_discount: Option<Money>,
    /// Refused before this moment.
    pub starts_at: Option<Timestamp>,
    /// Refused from this moment on.
    pub ends_at: Option<Timestamp>,
    /// How many orders may use it.
    pub max_uses: Option<u32>,
    /// How many orders of one client may use it.
    pub max_uses_per_client: Option<u32>,
    /// Switched off promotions are unknown codes.
    pub active: bool,
}
