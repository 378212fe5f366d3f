//! The disk that the digest of coupon files may use.

use std::fmt;
use std::str::FromStr;

use coupon_corpus::Settings;

use crate::amount;

/// An amount of disk, in bytes, above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpillLimit(pub u64);

/// The text is not a usable amount.
#[derive(Debug, thiserror::Error)]
#[error("is not an amount of disk above 0; example: 16Gi")]
pub struct SpillLimitError;

impl FromStr for SpillLimit {
    type Err = SpillLimitError;

    fn from_str(text: &str) -> Result<Self, SpillLimitError> {
        amount::bytes(text).filter(|bytes| *bytes > 0).map(Self).ok_or(SpillLimitError)
    }
}

/// The default is 16 GiB.
impl Default for SpillLimit {
    fn default() -> Self {
        Self(Settings::default().spill_limit_bytes)
    }
}

impl fmt::Display for SpillLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        amount::write(self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_amount_above_nothing_will_do() {
        for (text, shown) in [
            ("1", Some("1 byte")),
            ("10Mi", Some("10MiB")),
            ("4Gi", Some("4GiB")),
            ("1.5Gi", Some("1536MiB")),
            ("500M", Some("500000000 bytes")),
            ("4096", Some("4KiB")),
            ("0", None),
            ("0Gi", None),
            ("-1", None),
            ("plenty", None),
        ] {
            let limit = text.parse::<SpillLimit>().ok().map(|limit| limit.to_string());
            assert_eq!(limit.as_deref(), shown, "{text}");
        }
        assert_eq!(SpillLimit::default().to_string(), "16GiB");
    }
}
