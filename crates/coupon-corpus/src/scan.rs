//! From whole lines of text to codes.

use crate::code::{Rule, digit, eight};
use crate::partition::Partitions;
use crate::{Binary, CorpusError};

/// What was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub lines: u64,
    pub malformed_lines: u64,
}

/// The reason why text was not scanned to its end.
#[derive(Debug)]
pub(crate) enum Unscanned {
    /// The byte at this position is NUL.
    Nul(usize),
    /// A code could not be stored.
    Failed(CorpusError),
}

impl From<CorpusError> for Unscanned {
    fn from(error: CorpusError) -> Self {
        Self::Failed(error)
    }
}

/// Finds the codes in text.
pub(crate) struct Scanner {
    rule: Rule,
    /// The class of each length.
    classes: [usize; Rule::MAX_BYTES as usize + 1],
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
        Self { rule, classes }
    }

    /// Puts the codes of whole lines into their partitions; the last line may lack its end.
    pub(crate) fn scan(
        &self,
        text: &[u8],
        file: u16,
        codes: &mut Partitions<'_>,
    ) -> Result<Tally, Unscanned> {
        let mut tally = Tally::default();
        let mut rest = text;
        while !rest.is_empty() {
            let before = rest.len();
            self.usual::<8>(&mut rest, file, codes, &mut tally)?;
            self.usual::<9>(&mut rest, file, codes, &mut tally)?;
            self.usual::<10>(&mut rest, file, codes, &mut tally)?;
            if rest.len() == before {
                let line_bytes = self.unusual(rest, file, codes, &mut tally).map_err(|stop| match stop {
                    Unscanned::Nul(at) => Unscanned::Nul(text.len() - rest.len() + at),
                    Unscanned::Failed(error) => Unscanned::Failed(error),
                })?;
                rest = &rest[line_bytes..];
                tally.lines += 1;
            }
        }
        Ok(tally)
    }

    /// As many lines as come that are a code of 8, 9 or 10 bytes and a line feed.
    fn usual<const LENGTH: usize>(
        &self,
        rest: &mut &[u8],
        file: u16,
        codes: &mut Partitions<'_>,
        tally: &mut Tally,
    ) -> Result<(), CorpusError> {
        if !self.rule.allows(LENGTH) {
            return Ok(());
        }
        let mut sink = codes.sink(self.classes[LENGTH], file);
        while let Some(number) = rest.first_chunk().and_then(number::<LENGTH>) {
            sink.push(number)?;
            *rest = &rest[LENGTH + 1..];
            tally.lines += 1;
        }
        Ok(())
    }

    /// Any other line; returns its length with its end.
    #[cold]
    fn unusual(
        &self,
        rest: &[u8],
        file: u16,
        codes: &mut Partitions<'_>,
        tally: &mut Tally,
    ) -> Result<usize, Unscanned> {
        let end = memchr::memchr(b'\n', rest);
        let whole = &rest[..end.unwrap_or(rest.len())];
        let line = whole.trim_ascii();
        if let Some(number) = self.rule.number(line) {
            codes.sink(self.classes[line.len()], file).push(number)?;
        } else if let Some(at) = memchr::memchr(Binary::NUL, whole) {
            // Only here: a line with a NUL byte is never a code, so the fast path never meets one.
            return Err(Unscanned::Nul(at));
        } else {
            tally.malformed_lines += u64::from(!line.is_empty());
        }
        Ok(end.map_or(rest.len(), |end| end + 1))
    }
}

/// The number of the code that a line begins with, if it has this length.
#[inline]
fn number<const LENGTH: usize>(line: &[u8; 11]) -> Option<u64> {
    if line[LENGTH] != b'\n' {
        return None;
    }
    let mut number = eight(u64::from_le_bytes(*line.first_chunk()?))?;
    for byte in &line[8..LENGTH] {
        match DIGITS[usize::from(*byte)] {
            NO_DIGIT => return None,
            digit => number = number * 36 + u64::from(digit),
        }
    }
    Some(number)
}
