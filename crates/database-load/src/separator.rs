//! The separator between the columns of a CSV file.

use csv::{Reader, ReaderBuilder, Trim};

/// A separator of columns. Spreadsheets write semicolons in countries where the comma is for decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Separator {
    Comma,
    Semicolon,
    Tab,
    Bar,
}

impl Separator {
    /// All of them, the usual one first.
    pub const ALL: [Self; 4] = [Self::Comma, Self::Semicolon, Self::Tab, Self::Bar];

    pub const fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Bar => b'|',
        }
    }

    /// The separator as messages call it, in the singular.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Comma => "comma",
            Self::Semicolon => "semicolon",
            Self::Tab => "tab",
            Self::Bar => "vertical bar",
        }
    }

    /// A reader of the records in a text. Records may have any length; white space around fields is trimmed.
    pub fn reader(self, text: &[u8]) -> Reader<&[u8]> {
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).trim(Trim::All).delimiter(self.byte());
        builder.from_reader(text)
    }
}
