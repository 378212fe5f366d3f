//! CSV files with a header, read whole, with errors that name line and column.

use coupon_corpus::Binary;
use csv::StringRecord;

use crate::header::{Column, Header, Misfit};
use crate::lines::Lines;
use crate::quotes;
use crate::row::Row;
use crate::{BadData, Fault, Interruption, LoadError};

/// A file of rows.
#[derive(Clone, Copy)]
pub(crate) struct File<'f> {
    pub name: &'f str,
    pub bytes: &'f [u8],
    /// Checked before each row: millions of rows take a while.
    pub interruption: &'f Interruption,
}

/// Reads a file and turns each row into a value. Rows of empty cells are skipped. All faulty rows are reported, each
/// with its first fault.
pub(crate) fn read<T>(
    file: &File<'_>,
    columns: &[Column],
    mut parse: impl FnMut(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, LoadError> {
    let File { name: file, bytes, interruption } = *file;
    let fault = |line, Misfit { column, message }| Fault { file: file.to_owned(), line, column, message };
    if let Some(binary) = Binary::beginning(bytes) {
        return Err(BadData(vec![fault(1, Misfit { column: None, message: format!("is {binary}") })]).into());
    }
    let bytes = without_hint(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
    let header = Header::find(bytes, columns);
    // Checked first: after such a fault the reader may misread the rest of the file.
    let misread: Vec<_> = quotes::misread(bytes, header.separator.byte())
        .into_iter()
        .map(|misread| {
            let at = misread.field;
            let column = Some(if misread.is_header { (at + 1).to_string() } else { header.name(at) });
            fault(misread.line, Misfit { column, message: misread.message })
        })
        .collect();
    if !misread.is_empty() {
        return Err(BadData(misread).into());
    }
    header.check(columns).map_err(|misfit| BadData(vec![fault(header.line, misfit)]))?;
    let mut lines = Lines::new(bytes);
    let (mut values, mut faults) = (Vec::new(), Vec::new());
    let mut is_past_header = false;
    for record in header.separator.reader(bytes).records() {
        interruption.check()?;
        let outcome = match &record {
            Err(error) => Err(fault(lines.at(error.position()), unreadable(error, &header))),
            Ok(record) if is_blank(record) => continue,
            Ok(_) if !is_past_header => {
                is_past_header = true;
                continue;
            }
            Ok(record) => {
                let line = lines.at(record.position());
                let fit = header.check_fit(record).map_err(|misfit| fault(line, misfit));
                fit.and_then(|()| parse(&Row { file, header: &header, record, line }))
            }
        };
        match outcome {
            Ok(value) => values.push(value),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(values) } else { Err(BadData(faults).into()) }
}

/// The file without `sep=;`, the first line that tells some spreadsheets what separates columns. The header tells it
/// too. The end of that line stays, so that lines keep their numbers.
fn without_hint(bytes: &[u8]) -> &[u8] {
    match bytes {
        [s, e, p, b'=', _, rest @ ..]
            if [*s, *e, *p].eq_ignore_ascii_case(b"sep") && matches!(rest, [] | [b'\r' | b'\n', ..]) =>
        {
            rest
        }
        _ => bytes,
    }
}

fn is_blank(record: &StringRecord) -> bool {
    record.iter().all(str::is_empty)
}

fn unreadable(error: &csv::Error, header: &Header) -> Misfit {
    match error.kind() {
        csv::ErrorKind::Utf8 { err, .. } => Misfit {
            column: Some(header.name(err.field())),
            message: "is not UTF-8; save the file as CSV UTF-8".to_owned(),
        },
        _ => Misfit { column: None, message: "is not readable as CSV".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::{optional, required};

    fn file<'f>(bytes: &'f [u8], interruption: &'f Interruption) -> File<'f> {
        File { name: "n.csv", bytes, interruption }
    }

    fn read_numbers(text: &str) -> Result<Vec<(u64, u8)>, String> {
        let interruption = Interruption::default();
        read(&file(text.as_bytes(), &interruption), &[required("n"), optional("note")], |row| {
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
    fn passes_over_what_holds_nothing() {
        for text in [
            "n,note\n1,\n,\n2,b\n",
            "n,note,,\n1,,,\n,,,\n2,b,,\n",
            "n,note\n1\n   \n2,b\n",
            "N , Note\r\n1\r\n\t,\r\n2,b\r\n,,,,\r\n",
            "note,,n\n,,1\n\"\",\"\"\nb,,2,,\n",
            "n;note\n1;\n;\n2;b\n;;;\n",
            "n\tnote\t\n1\n\t\t\n2\tb\n",
            "n|note\n1\n|\n2|b",
        ] {
            assert_eq!(read_numbers(text), Ok(vec![(2, 1), (4, 2)]), "{text:?}");
        }
        assert_eq!(read_numbers(",\n\n,\nn\n1\n"), Ok(vec![(5, 1)]));
        for text in ["sep=;\r\nn;note\r\n1;a\r\n", "\u{feff}SEP=,\nn,note\n1,a\n", "sep=\t\nn\tnote\n1"] {
            assert_eq!(read_numbers(text), Ok(vec![(3, 1)]), "{text:?}");
        }
    }

    #[test]
    fn names_line_and_column_of_every_fault() {
        let error = read_numbers("n,note\n1,\n300,\n,x\n4,5,6\n").unwrap_err();
        assert_eq!(
            error,
            "n.csv, line 3, column n: is too large a number; n.csv, line 4, column n: is empty; \
             n.csv, line 5: has 3 fields, the header has 2; write a value with a comma in it between quotes, and no comma \
             after the last one"
        );
        for (text, fault) in [
            ("", "n.csv, line 1: is empty; its first line must name the columns n,note"),
            ("\u{feff}\n,\n", "n.csv, line 1: is empty; its first line must name the columns n,note"),
            (
                "sep=;n\n1",
                "n.csv, line 1, column sep=: there is no such column; columns are n,note (the file has semicolons between its columns)",
            ),
            ("n,nota\n1,\n", "n.csv, line 1, column nota: there is no such column; columns are n,note"),
            (
                "m;note\n1;a\n",
                "n.csv, line 1, column n: the column is missing; columns are n,note (the file has semicolons between its columns)",
            ),
            ("\n,\nm\n1\n", "n.csv, line 3, column n: the column is missing; columns are n,note"),
            ("m\n1\n", "n.csv, line 1, column n: the column is missing; columns are n,note"),
            ("n,n\n1,2\n", "n.csv, line 1, column n: the column stands twice in the header"),
        ] {
            assert_eq!(read_numbers(text).unwrap_err(), fault);
        }
        let interruption = Interruption::default();
        let error = read(&file(b"n\n\xff\n", &interruption), &[required("n")], |_| Ok(())).unwrap_err();
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
            // The column is not named: text in the header, or beyond it, may be a key.
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
        // Every faulty record is reported, with its first fault.
        let error = read_numbers("n,note\n1,\"a\"b\n2,c\n\"3\"x,\"d\"y\n4,\"e\n").unwrap_err();
        let places = ["line 2, column note: ", "line 4, column n: ", "line 5, column note: has no quote"];
        assert!(
            places.iter().all(|place| error.contains(place)) && error.matches("n.csv").count() == 3,
            "{error}"
        );
    }

    #[test]
    fn ends_with_the_next_row_when_called_off() {
        let interruption = Interruption::default();
        for (called_off_at, rows) in [(1, 1), (2, 2), (3, 3)] {
            let interruption = Interruption::default();
            let mut seen = 0;
            let outcome = read(&file(b"n\n1\n2\n3\n", &interruption), &[required("n")], |_| {
                seen += 1;
                if seen == called_off_at {
                    interruption.raise();
                }
                Ok(())
            });
            assert_eq!((outcome.is_ok(), seen), (called_off_at == 3, rows));
        }
        interruption.raise();
        let outcome = read(&file(b"n\n1\n", &interruption), &[required("n")], |_| Ok(()));
        assert!(matches!(outcome, Err(LoadError::Interrupted)), "{outcome:?}");
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
                let interruption = Interruption::default();
                let notes = read(&file(&text, &interruption), &[required("n"), optional("note")], |row| {
                    Ok(row.text("note").unwrap_or_default().to_owned())
                });
                assert_eq!(notes.unwrap(), [one.trim(), other.trim()]);
            }
        }
    }
}
