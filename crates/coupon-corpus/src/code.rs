//! Codes as numbers: a code of a known length is a number in base 36, and numbers compare as texts do.

use std::fmt;

/// What a line must be to be a code: upper-case ASCII letters and digits, this many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    min_bytes: u8,
    max_bytes: u8,
}

impl Rule {
    /// The longest code there can be.
    pub const MAX_BYTES: u8 = 10;

    /// Codes of `min_bytes` to `max_bytes`. `None` unless 1 ≤ min ≤ max ≤ [`Rule::MAX_BYTES`].
    pub const fn new(min_bytes: u8, max_bytes: u8) -> Option<Self> {
        if min_bytes >= 1 && min_bytes <= max_bytes && max_bytes <= Self::MAX_BYTES {
            Some(Self { min_bytes, max_bytes })
        } else {
            None
        }
    }

    /// Whether a code may have this length.
    pub const fn allows(self, bytes: usize) -> bool {
        self.min_bytes as usize <= bytes && bytes <= self.max_bytes as usize
    }

    /// The lengths a code may have.
    pub(crate) fn lengths(self) -> impl Iterator<Item = u8> {
        self.min_bytes..=self.max_bytes
    }

    /// The number of a text among all codes of its length. `None` if it is no code.
    pub(crate) fn number(self, text: &[u8]) -> Option<u64> {
        if !self.allows(text.len()) {
            return None;
        }
        text.iter().try_fold(0, |number, byte| Some(number * BASE + u64::from(digit(*byte)?)))
    }
}

/// 8 to 10 bytes, as in the reference files.
impl Default for Rule {
    fn default() -> Self {
        Self { min_bytes: 8, max_bytes: 10 }
    }
}

const BASE: u64 = 36;

/// A byte's digit in base 36.
pub(crate) const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'Z' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// How many numbers codes of a length take.
pub(crate) const fn numbers(length: u8) -> u64 {
    BASE.pow(length as u32)
}

const fn repeated(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The number of eight bytes, the first one lowest in `word`; all eight are looked at together.
pub(crate) const fn eight(word: u64) -> Option<u64> {
    const HIGH: u64 = repeated(0x80);
    const LETTERS_GAP: u64 = (b'A' - b'9' - 1) as u64;
    // No byte above 0x7f, so that no sum below carries into the next byte; then bit 7 of each byte of a sum says
    // whether the byte is at least the one named.
    let from_0 = word.wrapping_add(repeated(0x80 - b'0'));
    let after_9 = word.wrapping_add(repeated(0x80 - b'9' - 1));
    let from_a = word.wrapping_add(repeated(0x80 - b'A'));
    let after_z = word.wrapping_add(repeated(0x80 - b'Z' - 1));
    let letters = from_a & !after_z & HIGH;
    let digits = from_0 & !after_9 & HIGH;
    if word & HIGH != 0 || (letters | digits) != HIGH {
        return None;
    }
    let values = word - repeated(b'0') - (letters >> 7) * LETTERS_GAP;
    let pairs = (values & 0x00ff_00ff_00ff_00ff) * BASE + ((values >> 8) & 0x00ff_00ff_00ff_00ff);
    let fours = (pairs & 0x0000_ffff_0000_ffff) * BASE.pow(2) + ((pairs >> 16) & 0x0000_ffff_0000_ffff);
    Some((fours & 0xffff_ffff) * BASE.pow(4) + (fours >> 32))
}

/// A code that was found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(u64);

impl Code {
    const SYMBOL_BITS: u32 = 6;

    /// The code of a length with a number.
    pub(crate) fn new(length: u8, number: u64) -> Self {
        let mut symbols = 0;
        let mut rest = number;
        for position in (0..u32::from(length)).rev() {
            // 0 is for "no symbol", so that a code sorts before those it begins.
            let symbol = rest % BASE + 1;
            symbols |= symbol << (Self::SYMBOL_BITS * (u32::from(Rule::MAX_BYTES) - 1 - position));
            rest /= BASE;
        }
        Self(symbols)
    }

    /// As it is stored for a while; in the order of the texts.
    pub(crate) const fn symbols(self) -> u64 {
        self.0
    }

    /// What [`Code::symbols`] gave.
    pub(crate) const fn from_symbols(symbols: u64) -> Self {
        Self(symbols)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;

        for position in (0..u32::from(Rule::MAX_BYTES)).rev() {
            let symbol = (self.0 >> (Self::SYMBOL_BITS * position)) & 63;
            match symbol.to_le_bytes()[0] {
                0 => return Ok(()),
                symbol @ 1..=10 => f.write_char(char::from(b'0' + symbol - 1))?,
                symbol => f.write_char(char::from(b'A' + symbol - 11))?,
            }
        }
        Ok(())
    }
}

/// A code is worth money: it is shown where it is asked for, and not by the way.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn codes_have_8_to_10_characters() {
        let rule = Rule::default();
        for code in ["HAPPYHRS", "BUYGETON", "OVER90001", "FIFTYOFF10"] {
            assert!(rule.number(code.as_bytes()).is_some(), "{code}");
        }
        for text in ["", "SEVENCH", "ELEVENCHARS", "happyhrs", "HAPPY HR", "HAPPYHR\u{c9}"] {
            assert!(rule.number(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn rules_that_cannot_be_are_refused() {
        for (min, max, is_rule) in [(1, 10, true), (8, 8, true), (0, 5, false), (9, 8, false), (8, 11, false)]
        {
            assert_eq!(Rule::new(min, max).is_some(), is_rule, "{min}..={max}");
        }
    }

    proptest! {
        #[test]
        fn eight_bytes_at_once_are_as_one_by_one(bytes in prop_oneof![
            any::<[u8; 8]>(),
            prop::array::uniform8(prop_oneof![9 => 0x2eu8..0x5d, 1 => any::<u8>()]),
            prop::array::uniform8(prop_oneof![b'0'..=b'9', b'A'..=b'Z']),
        ]) {
            let rule = Rule::new(8, 8).unwrap();
            prop_assert_eq!(eight(u64::from_le_bytes(bytes)), rule.number(&bytes));
        }

        #[test]
        fn codes_keep_their_text_and_order(one in "[A-Z0-9]{1,10}", other in "[A-Z0-9]{1,10}") {
            let rule = Rule::new(1, 10).unwrap();
            let code = |text: &str| {
                Code::new(u8::try_from(text.len()).unwrap(), rule.number(text.as_bytes()).unwrap())
            };
            prop_assert_eq!(code(&one).to_string(), one.clone());
            prop_assert_eq!(code(&one).cmp(&code(&other)), one.cmp(&other));
        }
    }
}
