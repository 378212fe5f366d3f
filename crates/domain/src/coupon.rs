//! Coupon codes as clients send them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A code of 1 to 64 bytes; case matters. Whether it is worth anything is decided elsewhere. Blanks around it are not
/// part of it: they come along when a code is pasted.
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
        // Characters without any width count as blanks, too.
        let is_blank =
            |letter: char| letter.is_whitespace() || matches!(letter, '\u{200b}' | '\u{2060}' | '\u{feff}');
        let text = text.trim_matches(is_blank);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_around_a_code_are_no_part_of_it() {
        for text in [
            "SAVE10",
            " SAVE10",
            "SAVE10\r\n",
            "\u{a0}SAVE10\u{a0}",
            "\u{feff}SAVE10",
            "\u{202f}\tSAVE10\u{200b}",
        ] {
            assert_eq!(text.parse::<CouponCode>().unwrap().as_str(), "SAVE10", "{text:?}");
        }
        assert_eq!("SAVE 10".parse::<CouponCode>().unwrap().as_str(), "SAVE 10");
        for text in ["", " ", "\u{a0}\n"] {
            assert_eq!(text.parse::<CouponCode>(), Err(CouponCodeError::Empty), "{text:?}");
        }
        let longest = "x".repeat(CouponCode::MAX_BYTES);
        assert!(format!(" {longest} ").parse::<CouponCode>().is_ok());
        assert_eq!(format!("{longest}x").parse::<CouponCode>(), Err(CouponCodeError::TooLong));
    }
}
