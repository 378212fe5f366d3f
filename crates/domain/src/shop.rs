//! What all processes of a shop must agree on.

/// The settings of the shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shop {
    /// Its currency, by the letters of ISO 4217.
    pub currency: Currency,
    /// The zone that its hours and business days are in, by its name in the IANA database.
    pub time_zone: Box<str>,
    /// When a business day begins, in minutes after midnight: what is sold at 2 in the morning is yesterday's.
    pub day_begins_at_minutes: u16,
}

impl Shop {
    /// The beginning of a business day where none is set, 04:00.
    pub const DAY_BEGINS_AT_MINUTES: u16 = 4 * 60;
    const MINUTES_OF_A_DAY: u16 = 24 * 60;

    /// Reads a time of day, `04:00`, as minutes after midnight.
    pub fn parse_time_of_day(text: &str) -> Option<u16> {
        let (hours, minutes) = text.split_once(':')?;
        let two_digits = |part: &str| {
            let is_plain = part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_digit());
            part.parse::<u16>().ok().filter(|_| is_plain)
        };
        let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
        let total = hours * 60 + minutes;
        (minutes < 60 && total < Self::MINUTES_OF_A_DAY).then_some(total)
    }
}

impl Default for Shop {
    /// The shop of the demo data.
    fn default() -> Self {
        Self {
            currency: Currency::DEFAULT,
            time_zone: "UTC".into(),
            day_begins_at_minutes: Self::DAY_BEGINS_AT_MINUTES,
        }
    }
}

/// A currency by its letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The currency where none is set.
    pub const DEFAULT: Self = Self(*b"USD");

    /// Reads three upper-case letters.
    pub fn parse(text: &str) -> Option<Self> {
        let letters: [u8; 3] = text.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_uppercase).then_some(Self(letters))
    }

    /// The letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_are_those_of_a_clock() {
        for (text, minutes) in [("00:00", 0), ("04:00", 240), ("23:59", 1439)] {
            assert_eq!(Shop::parse_time_of_day(text), Some(minutes));
        }
        for text in ["24:00", "4:00", "04:60", "04:0", "+4:00", "0400", "", "04:00:00", "-1:00", "٠٤:٠٠"]
        {
            assert_eq!(Shop::parse_time_of_day(text), None, "{text}");
        }
    }

    #[test]
    fn currencies_are_three_letters() {
        assert_eq!(Currency::parse("EUR").unwrap().as_str(), "EUR");
        for text in ["eur", "EU", "EURO", "E1R", "", "€€"] {
            assert_eq!(Currency::parse(text), None, "{text}");
        }
    }
}
