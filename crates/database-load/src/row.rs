//! One line of a CSV file, and what its columns say.

use std::fmt::Display;
use std::num::{IntErrorKind, ParseIntError};
use std::str::FromStr;

use csv::StringRecord;

use crate::Fault;

/// One line of a file.
pub(crate) struct Row<'t> {
    pub file: &'t str,
    pub header: &'t StringRecord,
    pub record: &'t StringRecord,
    pub line: u64,
}

impl Row<'_> {
    /// The text in a column; `None` if it is empty or the file has no such column.
    pub fn text(&self, column: &str) -> Option<&str> {
        let at = self.header.iter().position(|name| name == column)?;
        self.record.get(at).filter(|text| !text.is_empty())
    }

    /// The text in a column that must have one, free of control characters and of at most `max_bytes`.
    pub fn required_text(&self, column: &str, max_bytes: usize) -> Result<&str, Fault> {
        let text = self.text(column).ok_or_else(|| self.fault(column, "is empty"))?;
        if text.len() > max_bytes {
            return Err(self.fault(column, format!("is longer than {max_bytes} bytes")));
        }
        if text.chars().any(char::is_control) {
            return Err(self.fault(column, "contains a control character"));
        }
        Ok(text)
    }

    /// What is in a column that must have something.
    pub fn required<T: FromStr<Err: Display>>(&self, column: &str) -> Result<T, Fault> {
        self.optional(column)?.ok_or_else(|| self.fault(column, "is empty"))
    }

    /// What is in a column, if anything is.
    pub fn optional<T: FromStr<Err: Display>>(&self, column: &str) -> Result<Option<T>, Fault> {
        self.text(column).map(|text| text.parse().map_err(|error| self.fault(column, error))).transpose()
    }

    /// The whole number in a column, if there is one.
    pub fn whole<T: FromStr<Err = ParseIntError>>(&self, column: &str) -> Result<Option<T>, Fault> {
        let fault = |error: &ParseIntError| {
            let message = match error.kind() {
                IntErrorKind::PosOverflow => "is too large a number",
                IntErrorKind::NegOverflow => "is too small a number",
                _ => "is not a whole number such as 5",
            };
            self.fault(column, message)
        };
        self.text(column).map(|text| text.parse().map_err(|error| fault(&error))).transpose()
    }

    /// What a column that may be empty says about a thing.
    pub fn truth(&self, column: &str) -> Result<Option<bool>, Fault> {
        let fault = || self.fault(column, "is neither true nor false");
        self.text(column).map(|text| text.parse().map_err(|_| fault())).transpose()
    }

    /// That a column's value is wrong.
    pub fn fault(&self, column: &str, message: impl Display) -> Fault {
        Fault {
            file: self.file.to_owned(),
            line: self.line,
            column: Some(column.to_owned()),
            message: message.to_string(),
        }
    }
}
