//! Products: what can be ordered.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Money;

/// The number a product is known by. Outside it is a decimal text, as in the public ordering API this product follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProductId(i64);

/// The text is not a canonical decimal 64-bit integer: `007`, `+7`, `-0`, `abc` and 2^63 are not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a decimal 64-bit integer without leading zeros or plus sign")]
pub struct ProductIdError;

impl ProductId {
    /// The id with that number.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number itself.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl FromStr for ProductId {
    type Err = ProductIdError;

    fn from_str(text: &str) -> Result<Self, ProductIdError> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let canonical = match digits.as_bytes() {
            [b'0'] => digits.len() == text.len(),
            [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
            _ => false,
        };
        if !canonical {
            return Err(ProductIdError);
        }
        text.parse().map(Self).map_err(|_| ProductIdError)
    }
}

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Addresses of a product's picture, one for each size of screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductImage {
    /// For lists.
    pub thumbnail: String,
    /// For phones.
    pub mobile: String,
    /// For tablets.
    pub tablet: String,
    /// For large screens.
    pub desktop: String,
}

/// One entry of the menu. Its texts are shared with the orders that sell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its id, positive for every product that can be ordered.
    pub id: ProductId,
    /// What the menu calls it.
    pub name: Arc<str>,
    /// Price of one unit.
    pub price: Money,
    /// The part of the menu it stands in.
    pub category: Arc<str>,
    /// Its picture, if it has one.
    pub image: Option<Arc<ProductImage>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_not_canonical() {
        for text in ["", "-", "-0", "007", "+7", "abc", " 7", "7 ", "1.0", "9223372036854775808", "٧"] {
            assert_eq!(text.parse::<ProductId>(), Err(ProductIdError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn text_and_number_are_one(number: i64) {
            prop_assert_eq!(number.to_string().parse(), Ok(ProductId(number)));
        }
    }
}
