//! One row of a CSV file, and the values in its columns.

use std::fmt::Display;
use std::num::{IntErrorKind, ParseIntError};
use std::str::FromStr;

use csv::StringRecord;
use domain::money::MoneyError;
use domain::{Money, ProductId};

use crate::header::Header;
use crate::{Fault, cell};

pub(crate) struct Row<'t> {
    pub file: &'t str,
    pub header: &'t Header,
    pub record: &'t StringRecord,
    pub line: u64,
}

impl Row<'_> {
    /// The text in a column; `None` if it is empty or the file has no such column.
    pub fn text(&self, column: &str) -> Option<&str> {
        self.record.get(self.header.at(column)?).filter(|text| !text.is_empty())
    }

    /// The text in a column that must have one, free of control characters and of at most `max_bytes`.
    pub fn required_text(&self, column: &str, max_bytes: usize) -> Result<&str, Fault> {
        let text = self.text(column).ok_or_else(|| self.is_empty(column))?;
        if text.len() > max_bytes {
            return Err(self.fault(column, format!("is longer than {max_bytes} bytes")));
        }
        if text.chars().any(char::is_control) {
            return Err(self.fault(column, "contains a control character"));
        }
        Ok(text)
    }

    /// The amount in a column, if there is one.
    pub fn amount(&self, column: &str) -> Result<Option<Money>, Fault> {
        self.text(column).map(|text| self.parse_amount(column, text)).transpose()
    }

    /// The amount in a column that must have one.
    pub fn required_amount(&self, column: &str) -> Result<Money, Fault> {
        self.amount(column)?.ok_or_else(|| self.is_empty(column))
    }

    /// The percentage in a column that must have one. A cent of the amount stands for a hundredth of a percent.
    pub fn required_percentage(&self, column: &str) -> Result<Money, Fault> {
        let text = self.text(column).ok_or_else(|| self.is_empty(column))?;
        self.parse_amount(column, cell::percent(text))
    }

    fn parse_amount(&self, column: &str, text: &str) -> Result<Money, Fault> {
        text.parse().map_err(|error: MoneyError| match error {
            MoneyError::Malformed => self.fault(
                column,
                "is not an amount such as 12.99; write digits with a point before the decimals, of which there are at most two: \
                 5.00, not 5,00 or $5",
            ),
            MoneyError::TooLarge => self.fault(column, error),
        })
    }

    /// The whole number in a column, if there is one.
    pub fn whole<T: FromStr<Err = ParseIntError>>(&self, column: &str) -> Result<Option<T>, Fault> {
        let fault = |error: &ParseIntError| {
            let message = match error.kind() {
                IntErrorKind::PosOverflow => "is too large a number",
                IntErrorKind::NegOverflow => "is too small a number",
                _ => "is not a whole number such as 5; write digits only",
            };
            self.fault(column, message)
        };
        self.text(column).map(|text| cell::whole(text).parse().map_err(|error| fault(&error))).transpose()
    }

    /// The whole number in a column that must have one.
    pub fn required_whole<T: FromStr<Err = ParseIntError>>(&self, column: &str) -> Result<T, Fault> {
        self.whole(column)?.ok_or_else(|| self.is_empty(column))
    }

    /// The product id in a column that must have one.
    pub fn product_id(&self, column: &str) -> Result<ProductId, Fault> {
        let number: i64 = self.required_whole(column)?;
        let text = self.text(column).map(cell::whole).unwrap_or_default();
        // Outside, product ids are texts: 07 would be another id than 7.
        text.parse().ok().filter(|id: &ProductId| id.get() == number).ok_or_else(|| {
            self.fault(
                column,
                "is not a whole number such as 5; write it without a sign, and without zeros before it",
            )
        })
    }

    /// The truth value in a column, if there is one.
    pub fn truth(&self, column: &str) -> Result<Option<bool>, Fault> {
        let fault = || self.fault(column, "is neither true nor false; write one of these two words");
        self.text(column).map(|text| cell::truth(text).ok_or_else(fault)).transpose()
    }

    /// The fault that a column is empty.
    pub fn is_empty(&self, column: &str) -> Fault {
        self.fault(column, "is empty")
    }

    /// The fault that the value in a column is wrong.
    pub fn fault(&self, column: &str, message: impl Display) -> Fault {
        Fault {
            file: self.file.to_owned(),
            line: self.line,
            column: Some(column.to_owned()),
            message: message.to_string(),
        }
    }
}
