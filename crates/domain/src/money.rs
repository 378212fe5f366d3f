//! Amounts of money.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An amount in cents. Never a float: sums and comparisons are exact.
///
/// The largest order there can be (100 lines of 1000 units at 9,999,999.99) is 10^14 cents, so additions of accepted
/// amounts stay far inside the 63 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(i64);

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not digits with at most two decimals.
    #[error("is not an amount such as 12.99 (digits, at most two decimals, no sign)")]
    Malformed,
    /// More than [`Money::MAX_PRICE`].
    #[error("is above the highest price, {}", Money::MAX_PRICE)]
    TooLarge,
}

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);
    /// The highest price of a product, 9,999,999.99.
    pub const MAX_PRICE: Self = Self(999_999_999);

    /// An amount of that many cents.
    pub const fn from_cents(cents: i64) -> Self {
        Self(cents)
    }

    /// The amount in cents.
    pub const fn cents(self) -> i64 {
        self.0
    }

    /// The amount `count` times over. Saturates; accepted orders cannot get there.
    #[must_use]
    pub const fn times(self, count: i64) -> Self {
        Self(self.0.saturating_mul(count))
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// Always two decimals: `12.50`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let cents = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", cents / 100, cents % 100)
    }
}

/// Reads a price as people write it: `12`, `12.5`, `12.50`.
impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (units, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits_only = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits_only(units) || !digits_only(decimals) || decimals.len() > 2 {
            return Err(MoneyError::Malformed);
        }
        let units: i64 = units.parse().map_err(|_| MoneyError::TooLarge)?;
        let decimals: i64 = format!("{decimals:0<2}").parse().map_err(|_| MoneyError::Malformed)?;
        let amount = units
            .checked_mul(100)
            .and_then(|cents| cents.checked_add(decimals))
            .ok_or(MoneyError::TooLarge)?;
        if amount > Self::MAX_PRICE.0 { Err(MoneyError::TooLarge) } else { Ok(Self(amount)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_not_an_amount() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1.234", "1,00", "1e2", " 1", "٣"] {
            assert_eq!(text.parse::<Money>(), Err(MoneyError::Malformed), "{text:?}");
        }
        for text in ["10000000", "9999999999999999999999"] {
            assert_eq!(text.parse::<Money>(), Err(MoneyError::TooLarge), "{text:?}");
        }
    }

    #[test]
    fn reads_missing_decimals_as_zeros() {
        assert_eq!("12".parse(), Ok(Money(1200)));
        assert_eq!("12.5".parse(), Ok(Money(1250)));
        assert_eq!("0.05".parse(), Ok(Money(5)));
        assert_eq!("9999999.99".parse(), Ok(Money::MAX_PRICE));
    }

    proptest! {
        #[test]
        fn text_and_amount_are_one(cents in 0..=Money::MAX_PRICE.0) {
            prop_assert_eq!(Money(cents).to_string().parse(), Ok(Money(cents)));
        }
    }
}
