//! The header of a CSV file: the position of each column, and the separator between them.

use csv::{ByteRecord, StringRecord};

use crate::lines::Lines;
use crate::separator::Separator;

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

/// A fault of a header or a record. The column is its name, or its number if it has no name that may be shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub column: Option<String>,
    pub message: String,
}

/// The first record with a cell that is not empty.
pub(crate) struct Header {
    pub separator: Separator,
    pub line: u64,
    /// The text of each cell; `None` if it is not UTF-8.
    cells: Vec<Option<String>>,
    /// The known column that each cell names, in any letter case.
    columns: Vec<Option<Column>>,
}

impl Header {
    /// Reads the header with the separator that makes most of its names known. In case of doubt that is the comma.
    pub fn find(text: &[u8], columns: &[Column]) -> Self {
        let [usual, others @ ..] = Separator::ALL;
        let mut best = Self::read(text, usual, columns);
        for separator in others {
            let other = Self::read(text, separator, columns);
            if other.likelihood() > best.likelihood() {
                best = other;
            }
        }
        best
    }

    fn read(text: &[u8], separator: Separator, columns: &[Column]) -> Self {
        let mut record = ByteRecord::new();
        let mut reader = separator.reader(text);
        let mut header = Self { separator, line: 1, cells: Vec::new(), columns: Vec::new() };
        // Reading from memory does not fail.
        while reader.read_byte_record(&mut record).unwrap_or(false) {
            let cell = |bytes| std::str::from_utf8(bytes).ok().map(|name| name.trim().to_owned());
            let cells: Vec<_> = record.iter().map(cell).collect();
            if cells.iter().any(|cell| cell.as_deref() != Some("")) {
                let column =
                    |name: &str| columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
                header.columns = cells.iter().map(|cell| cell.as_deref().and_then(column).copied()).collect();
                header.cells = cells;
                header.line = Lines::new(text).at(record.position());
                break;
            }
        }
        header
    }

    fn likelihood(&self) -> (usize, bool) {
        (self.columns.iter().flatten().count(), self.cells.len() > 1)
    }

    /// Checks that each column is known and stands once, and that no required one is missing. Empty cells are padding.
    pub fn check(&self, columns: &[Column]) -> Result<(), Misfit> {
        let misfit = |column: &str, message: &str| {
            let separator = match self.separator {
                Separator::Comma => String::new(),
                other => format!(" (the file has {}s between its columns)", other.name()),
            };
            Err(Misfit { column: Some(column.to_owned()), message: format!("{message}{separator}") })
        };
        if let Some(at) = self.cells.iter().position(Option::is_none) {
            return misfit(&(at + 1).to_string(), "is not UTF-8; save the file as CSV UTF-8");
        }
        let known = columns.iter().map(|column| column.name).collect::<Vec<_>>().join(",");
        if self.cells.is_empty() {
            let message = format!("is empty; its first line must name the columns {known}");
            return Err(Misfit { column: None, message });
        }
        for column in columns.iter().filter(|column| column.is_required) {
            if self.at(column.name).is_none() {
                return misfit(column.name, &format!("the column is missing; columns are {known}"));
            }
        }
        for (at, name) in self.cells.iter().flatten().enumerate().filter(|(_, name)| !name.is_empty()) {
            match self.columns[at] {
                None => return misfit(name, &format!("there is no such column; columns are {known}")),
                Some(column) if self.at(column.name) != Some(at) => {
                    return misfit(name, "the column stands twice in the header");
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// The position of a column.
    pub fn at(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|at| at.is_some_and(|at| at.name == column))
    }

    /// The name of the known column at a position, or else its number. An unknown name is not shown: it may be a key.
    pub fn name(&self, at: usize) -> String {
        let column = self.columns.get(at).copied().flatten();
        column.map_or_else(|| (at + 1).to_string(), |column| column.name.to_owned())
    }

    /// Checks that the values of a record stand in columns of the header. Empty cells may be missing at its end.
    pub fn check_fit(&self, record: &StringRecord) -> Result<(), Misfit> {
        let (fields, columns) = (record.len(), self.columns.len());
        let is_filled = |at: usize| record.get(at).is_some_and(|field| !field.is_empty());
        if let Some(at) = (0..columns).find(|at| self.columns[*at].is_none() && is_filled(*at)) {
            let message = "has a value, but no name in the header; add the name, or remove the value";
            return Err(Misfit { column: Some(self.name(at)), message: message.to_owned() });
        }
        let misfit = |what_to_do: String| {
            let noun = if fields == 1 { "field" } else { "fields" };
            let message = format!("has {fields} {noun}, the header has {columns}; {what_to_do}");
            Err(Misfit { column: None, message })
        };
        // Empty cells beyond the header are padding only if the last column has a value. Otherwise a comma within a
        // value, such as 1,50, may have pushed the others along.
        let last = self.columns.iter().rposition(Option::is_some);
        let is_padded = (columns..fields).all(|at| !is_filled(at)) && last.is_some_and(is_filled);
        if fields > columns && !is_padded {
            let separator = self.separator.name();
            return misfit(format!(
                "write a value with a {separator} in it between quotes, and no {separator} after the last one"
            ));
        }
        let missing = self.columns.iter().skip(fields).flatten().find(|column| column.is_required);
        missing.map_or(Ok(()), |column| misfit(format!("add what is missing, from {} on", column.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [required("id"), required("name"), optional("note")];

    fn header(text: &str) -> Result<Header, String> {
        let header = Header::find(text.as_bytes(), &COLUMNS);
        let checked = header.check(&COLUMNS);
        checked
            .map(|()| header)
            .map_err(|misfit| format!("{}: {}", misfit.column.unwrap_or_default(), misfit.message))
    }

    #[test]
    fn padding_and_case_make_no_difference() {
        for (text, line, at) in [
            ("id,name,note\n", 1, [0, 1, 2]),
            ("ID, Name ,NOTE\n", 1, [0, 1, 2]),
            ("id,name,note,,\n", 1, [0, 1, 2]),
            (",id,,name,note", 1, [1, 3, 4]),
            ("\n,,,\n \n\"\",\nnote,id,name\n", 5, [1, 2, 0]),
            ("id;name;note\n", 1, [0, 1, 2]),
            (";;\nid;name;note;;\n", 2, [0, 1, 2]),
            ("name\tid\tnote\n", 1, [1, 0, 2]),
            ("\t\tID\tname\tnote\t\n", 1, [2, 3, 4]),
            ("id|name|note\n", 1, [0, 1, 2]),
            ("\"id\";\"name\";\"note\"\n1;2,3,4;5\n", 1, [0, 1, 2]),
        ] {
            let header = header(text).unwrap_or_else(|fault| panic!("{text:?}: {fault}"));
            assert_eq!(header.line, line, "{text:?}");
            assert_eq!(["id", "name", "note"].map(|name| header.at(name)), at.map(Some), "{text:?}");
        }
    }

    #[test]
    fn a_header_that_does_not_fit_names_what_stands_between_columns() {
        let columns = "columns are id,name,note";
        for (text, fault) in [
            ("", ": is empty; its first line must name the columns id,name,note".to_owned()),
            ("id,note", format!("name: the column is missing; {columns}")),
            ("id,name,nota,", format!("nota: there is no such column; {columns}")),
            ("id,name,ID", "ID: the column stands twice in the header".to_owned()),
            (
                "id;nane;note",
                format!(
                    "name: the column is missing; {columns} (the file has semicolons between its columns)"
                ),
            ),
            (
                "id\tname\tnota",
                format!("nota: there is no such column; {columns} (the file has tabs between its columns)"),
            ),
            (
                "a|b",
                format!(
                    "id: the column is missing; {columns} (the file has vertical bars between its columns)"
                ),
            ),
        ] {
            assert_eq!(header(text).err(), Some(fault), "{text:?}");
        }
        let latin_1 = Header::find(b"id;n\xe4me;name", &COLUMNS).check(&COLUMNS).unwrap_err();
        assert_eq!(latin_1.column.as_deref(), Some("2"));
        assert!(latin_1.message.starts_with("is not UTF-8"), "{}", latin_1.message);
    }

    #[test]
    fn a_record_fits_if_only_nothing_is_missing_or_left_over() {
        let header = header("id,name,,note,\n").unwrap();
        let check = |fields: &[&str]| {
            let outcome = header.check_fit(&StringRecord::from(fields.to_vec()));
            outcome.map_err(|misfit| (misfit.column, misfit.message))
        };
        for fields in [
            &["1", "Tea"][..],
            &["1", "Tea", ""],
            &["1", "Tea", "", ""],
            &["1", "Tea", "", "hot"],
            &["1", "Tea", "", "hot", ""],
            &["1", "Tea", "", "hot", "", "", ""],
        ] {
            assert_eq!(check(fields), Ok(()), "{fields:?}");
        }
        let no_name = "has a value, but no name in the header; add the name, or remove the value";
        for (fields, column, message) in [
            (&["1", "Tea", "x"][..], Some("3"), no_name),
            (&["1", "Tea", "", "", "x"], Some("5"), no_name),
            (&["1"], None, "has 1 field, the header has 5; add what is missing, from name on"),
            (
                &["1", "Tea", "", "hot", "", "x"],
                None,
                "has 6 fields, the header has 5; write a value with a comma in it between quotes, and no comma after the last one",
            ),
            (
                &["1", "Tea", "", "", "", ""],
                None,
                "has 6 fields, the header has 5; write a value with a comma in it between quotes, and no comma after the last one",
            ),
        ] {
            assert_eq!(check(fields), Err((column.map(str::to_owned), message.to_owned())), "{fields:?}");
        }
    }
}
