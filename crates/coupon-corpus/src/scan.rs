//! From whole lines of text to codes.

use crate::CorpusError;
use crate::code::{Rule, digit, eight};
use crate::partition::Partitions;

/// What was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub lines: u64,
    pub malformed_lines: u64,
}

/// Finds the codes in text.
pub(crate) struct Scanner {
    rule: Rule,
    /// The class of each length.
    classes: [usize; Rule::MAX_BYTES as usize + 1],
    /// Whether a code may have 8, 9, 10 bytes.
    allows: [bool; 3],
}

/// Each byte's digit, or [`NO_DIGIT`].
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut byte = 0;
    while byte < b'Z' {
        byte += 1;
        if let Some(value) = digit(byte) {
            digits[byte as usize] = value;
        }
    }
    digits
};
const NO_DIGIT: u8 = 0xff;

impl Scanner {
    pub(crate) fn new(rule: Rule) -> Self {
        let mut classes = [0; Rule::MAX_BYTES as usize + 1];
        for (class, length) in rule.lengths().enumerate() {
            classes[usize::from(length)] = class;
        }
        Self { rule, classes, allows: [8, 9, 10].map(|length| rule.allows(length)) }
    }

    /// Puts the codes of whole lines into their partitions; the last line may lack its end.
    pub(crate) fn scan(
        &self,
        text: &[u8],
        file: u16,
        codes: &mut Partitions<'_>,
    ) -> Result<Tally, CorpusError> {
        let mut tally = Tally::default();
        let mut rest = text;
        while !rest.is_empty() {
            let line_bytes = match rest.first_chunk().and_then(|line| self.usual(line)) {
                Some((number, length)) => {
                    codes.push(self.classes[length], number, file)?;
                    length + 1
                }
                None => self.unusual(rest, file, codes, &mut tally)?,
            };
            tally.lines += 1;
            rest = &rest[line_bytes..];
        }
        Ok(tally)
    }

    /// The number and the length of a code of 8 to 10 bytes with a line feed after it.
    #[inline]
    fn usual(&self, line: &[u8; 11]) -> Option<(u64, usize)> {
        let (first, rest) = line.split_first_chunk()?;
        let &[ninth, tenth, eleventh] = rest else { return None };
        let number = eight(u64::from_le_bytes(*first))?;
        if ninth == b'\n' {
            return self.allows[0].then_some((number, 8));
        }
        let number = number * 36 + u64::from(one(ninth)?);
        if tenth == b'\n' {
            return self.allows[1].then_some((number, 9));
        }
        let number = number * 36 + u64::from(one(tenth)?);
        (eleventh == b'\n' && self.allows[2]).then_some((number, 10))
    }

    /// Any other line; returns its length with its end.
    #[cold]
    fn unusual(
        &self,
        rest: &[u8],
        file: u16,
        codes: &mut Partitions<'_>,
        tally: &mut Tally,
    ) -> Result<usize, CorpusError> {
        let end = memchr::memchr(b'\n', rest);
        let line = rest[..end.unwrap_or(rest.len())].trim_ascii();
        match self.rule.number(line) {
            Some(number) => codes.push(self.classes[line.len()], number, file)?,
            None => tally.malformed_lines += u64::from(!line.is_empty()),
        }
        Ok(end.map_or(rest.len(), |end| end + 1))
    }
}

#[inline]
const fn one(byte: u8) -> Option<u8> {
    match DIGITS[byte as usize] {
        NO_DIGIT => None,
        digit => Some(digit),
    }
}
