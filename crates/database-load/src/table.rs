//! CSV files with a header, read whole, with errors that name line and column.

use coupon_corpus::Binary;
use csv::{ReaderBuilder, StringRecord, Trim};

use crate::quotes::{self, Misread};
use crate::row::Row;
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

/// Reads `bytes` and turns each row into a value. All faulty rows are reported, each with its first fault.
pub(crate) fn read<T>(
    file: &str,
    bytes: &[u8],
    columns: &[Column],
    mut parse: impl FnMut(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, BadData> {
    let fault = |line, column, message| Fault { file: file.to_owned(), line, column, message };
    if let Some(binary) = Binary::beginning(bytes) {
        return Err(BadData(vec![fault(1, None, format!("is {binary}"))]));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(bytes);
    let mut lines = Lines { bytes, at: 0, line: 1 };
    let header = reader.headers().cloned();
    // First of all: what the reader makes of the rest is not what was meant.
    let misread = quotes::misread(bytes);
    if !misread.is_empty() {
        let names = header.unwrap_or_default();
        let fault =
            |misread: Misread| fault(misread.line, Some(name(&misread, &names, columns)), misread.message);
        return Err(BadData(misread.into_iter().map(fault).collect()));
    }
    let header =
        header.map_err(|error| BadData(vec![unreadable(file, &error, &StringRecord::new(), &mut lines)]))?;
    check_header(file, &header, columns)?;
    let (mut values, mut faults) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let outcome = match &record {
            Err(error) => Err(unreadable(file, error, &header, &mut lines)),
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

/// The name of the column, or where the header does not say it, its number. What is no column's name may be a key.
fn name(misread: &Misread, header: &StringRecord, columns: &[Column]) -> String {
    let name = header
        .get(misread.field)
        .filter(|name| !misread.is_header && columns.iter().any(|column| column.name == *name));
    name.map_or_else(|| (misread.field + 1).to_string(), str::to_owned)
}

fn check_header(file: &str, header: &StringRecord, columns: &[Column]) -> Result<(), BadData> {
    let fault = |column: &str, message: String| {
        BadData(vec![Fault { file: file.to_owned(), line: 1, column: Some(column.to_owned()), message }])
    };
    // What spreadsheets write where the comma is for decimals.
    if let [only] = &header.iter().collect::<Vec<_>>()[..]
        && let Some((separator, _)) =
            [("semicolons", ';'), ("tabs", '\t')].iter().find(|(_, c)| only.contains(*c))
    {
        let message = format!("has {separator} between its columns; save it with commas");
        return Err(BadData(vec![Fault { file: file.to_owned(), line: 1, column: None, message }]));
    }
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

fn unreadable(file: &str, error: &csv::Error, header: &StringRecord, lines: &mut Lines<'_>) -> Fault {
    let line = lines.at(error.position());
    let column = match error.kind() {
        csv::ErrorKind::Utf8 { err, .. } => header.get(err.field()).map(str::to_owned),
        _ => None,
    };
    let message = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8; save the file as CSV UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} fields, the header has {expected_len}")
        }
        _ => "is not readable as CSV".to_owned(),
    };
    Fault { file: file.to_owned(), line, column, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_numbers(text: &str) -> Result<Vec<(u64, u8)>, String> {
        read("n.csv", text.as_bytes(), &[required("n"), optional("note")], |row| {
            Ok((row.line, row.whole("n")?.ok_or_else(|| row.fault("n", "is empty"))?))
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
            "n.csv, line 3, column n: is too large a number; n.csv, line 4, column n: is empty; \
             n.csv, line 5: has 3 fields, the header has 2"
        );
        for (text, fault) in [
            ("", "n.csv, line 1, column n: the column is missing; columns are n,note"),
            ("n,nota\n1,\n", "n.csv, line 1, column nota: there is no such column; columns are n,note"),
            ("n;note\n1;a\n", "n.csv, line 1: has semicolons between its columns; save it with commas"),
            ("n\tnote\n1\ta\n", "n.csv, line 1: has tabs between its columns; save it with commas"),
            ("m\n1\n", "n.csv, line 1, column n: the column is missing; columns are n,note"),
            ("n,n\n1,2\n", "n.csv, line 1, column n: the column stands twice in the header"),
        ] {
            assert_eq!(read_numbers(text).unwrap_err(), fault);
        }
        let error = read("n.csv", b"n\n\xff\n", &[required("n")], |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "n.csv, line 2, column n: is not UTF-8; save the file as CSV UTF-8");
        for (text, fault) in
            [("1.5", "a whole number"), ("1e3", "a whole number"), ("-1", "a whole number"), ("5.", "")]
        {
            let error = read_numbers(&format!("n\n{text}\n")).unwrap_err();
            assert!(
                error.starts_with("n.csv, line 2, column n: is not ") && error.contains(fault),
                "{error}"
            );
        }
    }

    #[test]
    fn refuses_what_would_be_read_as_something_else() {
        for (text, fault) in [
            (
                "n,note\n1,\"a\"b\n",
                "n.csv, line 2, column note: has text after the quote that closes it; write a quote within a quoted field twice: \"\"",
            ),
            (
                "n,note\n1,\"a\n2,b\n",
                "n.csv, line 2, column note: has no quote that closes it, up to the end of the file; add it",
            ),
            (
                "n,note\n1,a\n2, \"b\"\n",
                "n.csv, line 3, column note: has blanks before the quote that opens it; remove them",
            ),
            (
                "n,note\n1,a\0\n",
                "n.csv, line 2, column note: has a NUL byte, which no text has; save the file as CSV UTF-8",
            ),
            // Not by name: what stands in the header, or beyond it, may be a key.
            (
                "n,\"note\"x\n1,a\n",
                "n.csv, line 1, column 2: has text after the quote that closes it; write a quote within a quoted field twice: \"\"",
            ),
            (
                "n,key\n1,\"a\"b\n",
                "n.csv, line 2, column 2: has text after the quote that closes it; write a quote within a quoted field twice: \"\"",
            ),
            (
                "n\n1,2,\"a\"b\n",
                "n.csv, line 2, column 3: has text after the quote that closes it; write a quote within a quoted field twice: \"\"",
            ),
            (
                "PK\u{3}\u{4}\u{14}\0n",
                "n.csv, line 1: is a zip archive, or a spreadsheet such as .xlsx; unpack it, or save the spreadsheet as CSV UTF-8",
            ),
            ("n\0,\0", "n.csv, line 1: is UTF-16; save it as UTF-8"),
        ] {
            assert_eq!(read_numbers(text).unwrap_err(), fault);
        }
        // All of them, each with the first fault of its record.
        let error = read_numbers("n,note\n1,\"a\"b\n2,c\n\"3\"x,\"d\"y\n4,\"e\n").unwrap_err();
        let places = ["line 2, column note: ", "line 4, column n: ", "line 5, column note: has no quote"];
        assert!(
            places.iter().all(|place| error.contains(place)) && error.matches("n.csv").count() == 3,
            "{error}"
        );
    }

    #[test]
    fn reads_what_a_writer_of_csv_writes() {
        let fields = [
            "",
            "a",
            "a,b",
            "\"",
            "12\" Sub",
            "\"a\"",
            " a ",
            "a\nb",
            "\r\n",
            "\"\"",
            " \"a",
            "\\\"",
            "\u{a0}\"a",
        ];
        for one in fields {
            for other in fields {
                let mut writer = csv::Writer::from_writer(Vec::new());
                for record in [["note", "n"], [one, "1"], [other, "2"]] {
                    writer.write_record(record).unwrap();
                }
                let text = writer.into_inner().unwrap();
                let notes = read("n.csv", &text, &[required("n"), optional("note")], |row| {
                    Ok(row.text("note").unwrap_or_default().to_owned())
                });
                assert_eq!(notes.unwrap(), [one.trim(), other.trim()]);
            }
        }
    }
}
