//! Idempotency keys: a client's name for one attempt to order.

use std::fmt;
use std::str::FromStr;

/// 1 to 255 visible ASCII characters. `Debug` does not show the key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(String);

/// The text is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {} visible ASCII characters", IdempotencyKey::MAX_BYTES)]
pub struct IdempotencyKeyError;

impl IdempotencyKey {
    /// The longest key in bytes.
    pub const MAX_BYTES: usize = 255;

    /// The key itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = IdempotencyKeyError;

    fn from_str(text: &str) -> Result<Self, IdempotencyKeyError> {
        let is_key =
            (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_key { Ok(Self(text.to_owned())) } else { Err(IdempotencyKeyError) }
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_visible_ascii() {
        for text in ["", " ", "a b", "a\n", "é", &"x".repeat(256)] {
            assert_eq!(text.parse::<IdempotencyKey>(), Err(IdempotencyKeyError), "{text:?}");
        }
        for text in ["1", "~!\"", &"x".repeat(255)] {
            assert!(text.parse::<IdempotencyKey>().is_ok(), "{text:?}");
        }
    }
}
