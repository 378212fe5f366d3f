//! Coupon codes as clients send them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A code of 1 to 64 bytes; case matters. Whether it is worth anything is decided elsewhere.
///
/// `Debug` does not show the code: a code is worth money and stays out of logs and spans.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CouponCode(String);

/// Why a text is not a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CouponCodeError {
    /// Nothing in it: sent, but not a code.
    #[error("is empty")]
    Empty,
    /// More than [`CouponCode::MAX_BYTES`].
    #[error("is longer than {} bytes", CouponCode::MAX_BYTES)]
    TooLong,
}

impl CouponCode {
    /// The longest code in bytes.
    pub const MAX_BYTES: usize = 64;

    /// The code itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CouponCode {
    type Err = CouponCodeError;

    fn from_str(text: &str) -> Result<Self, CouponCodeError> {
        match text.len() {
            0 => Err(CouponCodeError::Empty),
            1..=Self::MAX_BYTES => Ok(Self(text.to_owned())),
            _ => Err(CouponCodeError::TooLong),
        }
    }
}

impl fmt::Debug for CouponCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CouponCode(…)")
    }
}
