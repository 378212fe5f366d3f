//! Line numbers as an editor shows them.

use csv::Position;

/// Finds the line numbers of records. The reader's own numbers would not do: it counts from the place where it began to
/// look for a record, which may be the second half of a line end, or an empty line.
pub(crate) struct Lines<'b> {
    bytes: &'b [u8],
    at: usize,
    line: u64,
}

impl<'b> Lines<'b> {
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0, line: 1 }
    }

    /// The line on which a record begins. Records must be given in their order.
    pub fn at(&mut self, position: Option<&Position>) -> u64 {
        let start = position.and_then(|position| usize::try_from(position.byte()).ok()).unwrap_or(self.at);
        while let Some(byte) = self.bytes.get(self.at) {
            if self.at >= start && !matches!(byte, b'\r' | b'\n') {
                break;
            }
            self.line += u64::from(*byte == b'\n');
            self.at += 1;
        }
        self.line
    }
}
