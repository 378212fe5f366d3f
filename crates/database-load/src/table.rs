//! CSV files with a header, read whole, with errors that name line and column.

use std::fmt::Display;
use std::str::FromStr;

use csv::{ReaderBuilder, StringRecord, Trim};

use crate::{BadData, Fault};

/// A column that a file may or must have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub name: &'static str,
    pub is_required: bool,
}

pub(crate) const fn required(name: &'static str) -> Column {
    Column { name, is_required: true }
}

pub(crate) const fn optional(name: &'static str) -> Column {
    Column { name, is_required: false }
}

/// One line of a file.
pub(crate) struct Row<'t> {
    file: &'t str,
    header: &'t StringRecord,
    record: &'t StringRecord,
    pub line: u64,
}

/// Reads `bytes` and turns each row into a value. All faulty rows are reported, each with its first fault.
pub(crate) fn read<T>(
    file: &str,
    bytes: &[u8],
    columns: &[Column],
    mut parse: impl FnMut(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, BadData> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(bytes);
    let mut lines = Lines { bytes, at: 0, line: 1 };
    let header =
        reader.headers().map_err(|error| BadData(vec![unreadable(file, &error, &mut lines)]))?.clone();
    check_header(file, &header, columns)?;
    let (mut values, mut faults) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let outcome = match &record {
            Err(error) => Err(unreadable(file, error, &mut lines)),
            Ok(record) => {
                let line = lines.at(record.position());
                parse(&Row { file, header: &header, record, line })
            }
        };
        match outcome {
            Ok(value) => values.push(value),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(values) } else { Err(BadData(faults)) }
}

fn check_header(file: &str, header: &StringRecord, columns: &[Column]) -> Result<(), BadData> {
    let fault = |column: &str, message: String| {
        BadData(vec![Fault { file: file.to_owned(), line: 1, column: Some(column.to_owned()), message }])
    };
    let known = || columns.iter().map(|column| column.name).collect::<Vec<_>>().join(",");
    for column in columns.iter().filter(|column| column.is_required) {
        if !header.iter().any(|name| name == column.name) {
            return Err(fault(column.name, format!("the column is missing; columns are {}", known())));
        }
    }
    for (at, name) in header.iter().enumerate() {
        if !columns.iter().any(|column| column.name == name) {
            return Err(fault(name, format!("there is no such column; columns are {}", known())));
        }
        if header.iter().take(at).any(|earlier| earlier == name) {
            return Err(fault(name, "the column stands twice in the header".to_owned()));
        }
    }
    Ok(())
}

/// Line numbers as an editor shows them. The reader's own are those of where it began to look for a record, which may
/// be the second half of a line end, or empty lines.
struct Lines<'b> {
    bytes: &'b [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of a record; records come in order.
    fn at(&mut self, position: Option<&csv::Position>) -> u64 {
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

fn unreadable(file: &str, error: &csv::Error, lines: &mut Lines<'_>) -> Fault {
    let line = lines.at(error.position());
    let message = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} fields, the header has {expected_len}")
        }
        _ => "is not readable as CSV".to_owned(),
    };
    Fault { file: file.to_owned(), line, column: None, message }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read_numbers(text: &str) -> Result<Vec<(u64, u8)>, String> {
        read("n.csv", text.as_bytes(), &[required("n"), optional("note")], |row| {
            Ok((row.line, row.required("n")?))
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn reads_what_spreadsheets_write() {
        assert_eq!(read_numbers("\u{feff}n,note\r\n 1 ,\"a, b\"\r\n\r\n2,"), Ok(vec![(2, 1), (4, 2)]));
        assert_eq!(read_numbers("n\n"), Ok(vec![]));
    }

    #[test]
    fn names_line_and_column_of_every_fault() {
        let error = read_numbers("n,note\n1,\n300,\n,x\n4,5,6\n").unwrap_err();
        assert_eq!(
            error,
            "n.csv, line 3, column n: number too large to fit in target type; n.csv, line 4, column n: is empty; \
             n.csv, line 5: has 3 fields, the header has 2"
        );
        for (text, fault) in [
            ("", "n.csv, line 1, column n: the column is missing; columns are n,note"),
            ("n,nota\n1,\n", "n.csv, line 1, column nota: there is no such column; columns are n,note"),
            ("n,n\n1,2\n", "n.csv, line 1, column n: the column stands twice in the header"),
        ] {
            assert_eq!(read_numbers(text).unwrap_err(), fault);
        }
        let error = read("n.csv", b"n\n\xff\n", &[required("n")], |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "n.csv, line 2: is not UTF-8");
    }
}
