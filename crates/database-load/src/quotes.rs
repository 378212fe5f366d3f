//! Finds text that a lenient CSV reader takes for something else than the author meant: quotes that are not as in RFC
//! 4180, section 2, and NUL bytes.

/// The first misplaced quote or NUL byte in a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misread {
    /// The line of the file on which the field begins.
    pub line: u64,
    /// The index of the field in its record.
    pub field: usize,
    /// Whether the record is the header.
    pub is_header: bool,
    /// The fault, and how to mend it.
    pub message: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first character of a field that is not white space.
    Start { has_blanks: bool },
    /// In a field without quotes around it. A quote in it is a character like any other: `12" Sub`.
    Bare,
    /// Inside a quoted field.
    Quoted,
    /// After a quote inside a quoted field. It closes the field, unless another quote follows.
    Closed { has_blanks: bool },
}

/// Goes through a file as the CSV reader does, and returns the faults.
pub(crate) fn misread(text: &[u8], separator: u8) -> Vec<Misread> {
    let mut walk = Walk { line: 1, began: 1, field: 0, is_header: true, is_faulty: false, found: Vec::new() };
    let mut place = Place::Start { has_blanks: false };
    let mut rest = text;
    while let Some(byte) = rest.first() {
        // Blanks matter beside a field only.
        let blank_bytes = if matches!(place, Place::Bare | Place::Quoted) { 0 } else { blank(rest) };
        if matches!(place, Place::Start { has_blanks: false }) {
            walk.began = walk.line;
        }
        place = match (place, *byte) {
            (Place::Quoted, b'"') => Place::Closed { has_blanks: false },
            (Place::Quoted, _) | (Place::Closed { has_blanks: false }, b'"') => Place::Quoted,
            (_, byte) if byte == separator => {
                walk.field += 1;
                Place::Start { has_blanks: false }
            }
            (_, b'\r' | b'\n') => {
                walk.end_record(place);
                Place::Start { has_blanks: false }
            }
            (Place::Start { .. }, _) if blank_bytes > 0 => Place::Start { has_blanks: true },
            (Place::Closed { .. }, _) if blank_bytes > 0 => Place::Closed { has_blanks: true },
            (Place::Start { has_blanks: false }, b'"') => Place::Quoted,
            (Place::Start { has_blanks: true }, b'"') => {
                walk.fault("has blanks before the quote that opens it; remove them");
                Place::Bare
            }
            (Place::Bare | Place::Start { .. }, _) => Place::Bare,
            (Place::Closed { .. }, _) => {
                let is_further_down = walk.line != walk.began;
                let on_line = if is_further_down { format!(" on line {}", walk.line) } else { String::new() };
                walk.fault(&format!(
                    "has text after the quote that closes it{on_line}; write a quote within a quoted field twice: \"\""
                ));
                Place::Bare
            }
        };
        if *byte == 0 {
            walk.fault("has a NUL byte, which no text has; save the file as CSV UTF-8");
        }
        walk.line += u64::from(*byte == b'\n');
        rest = &rest[blank_bytes.max(1)..];
    }
    if place == Place::Quoted {
        walk.is_faulty = false;
        walk.fault("has no quote that closes it, up to the end of the file; add it");
    }
    walk.found
}

/// The bytes of the white space character that `text` begins with; 0 if there is none, or if it ends a record.
fn blank(text: &[u8]) -> usize {
    let head = &text[..text.len().min(4)];
    let first = head.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
    first.filter(|c| c.is_whitespace() && !matches!(c, '\r' | '\n')).map_or(0, char::len_utf8)
}

struct Walk {
    line: u64,
    /// The line on which the present field began.
    began: u64,
    field: usize,
    is_header: bool,
    /// Whether the present record already has a fault.
    is_faulty: bool,
    found: Vec<Misread>,
}

impl Walk {
    fn fault(&mut self, message: &str) {
        if !self.is_faulty {
            let (line, field, is_header) = (self.began, self.field, self.is_header);
            self.found.push(Misread { line, field, is_header, message: message.to_owned() });
        }
        self.is_faulty = true;
    }

    fn end_record(&mut self, place: Place) {
        let is_empty = self.field == 0 && place == Place::Start { has_blanks: false };
        self.is_header &= is_empty;
        (self.field, self.is_faulty) = (0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(u64, usize, String)> {
        let message = |misread: Misread| misread.message.split(';').next().unwrap().to_owned();
        misread(text.as_bytes(), b',')
            .into_iter()
            .map(|misread| (misread.line, misread.field, message(misread)))
            .collect()
    }

    #[test]
    fn what_has_one_meaning_is_accepted() {
        for text in [
            "",
            "\n",
            "1,Tea\r\n2,\"Tea, hot\"\r\n",
            "\"1\",\"Tea\"",
            "1,12\" Sub\n2,say \"hi\"\n3,\"\"\n4,\"\"\"\"\n5,\"\"\"Best\"\" pie\"\n",
            "1,\"two\nlines\",x\n2,\"two\r\nlines\"\r\n",
            // Blanks after a closing quote are trimmed like any others.
            "1 , Tea ,\"Tea\" ,\"Tea\"\t\n",
            "1,\"Tea\"   ",
            "\"\",,\"\"\n\n\n,,\n",
            "1,'Tea'\n2,it's\n3,\u{201c}Tea\u{201d}\n",
        ] {
            assert_eq!(found(text), [], "{text:?}");
        }
    }

    #[test]
    fn fields_end_where_the_file_has_them_end() {
        for (separator, text) in
            [(b';', "1;\"a\";\"b;c\"\n"), (b'\t', "1\t\"a\"\t\"b\tc\"\n"), (b'|', "\"a|\"|,\"")]
        {
            assert_eq!(misread(text.as_bytes(), separator), [], "{text}");
        }
        for (separator, text, field) in [
            (b';', "1;2,3;\"a\",\"b\"", 2),
            (b'\t', "1\t \"a\"", 1),
            (b'|', "\"a\"\t|\"b", 1),
            (b';', "\"a\",1", 0),
        ] {
            let [misread] = &misread(text.as_bytes(), separator)[..] else { panic!("{text}") };
            assert_eq!(misread.field, field, "{text}");
        }
    }

    #[test]
    fn text_after_a_closing_quote_is_found() {
        let after = "has text after the quote that closes it";
        for text in [
            r#"6,"12\" Sub",5.00,x"#,
            r#"7,"A"B,5.00,x"#,
            r#"7,"A" B,5.00,x"#,
            r#"7,"A" "B",5.00,x"#,
            r#"7,"A" ",5.00,x"#,
            r#"7,""A"",5.00,x"#,
            r#"7,"A"\",5.00,x"#,
            "7,\"A\"\u{a0}B,5.00,x",
            "7,\"A\"é",
        ] {
            assert_eq!(found(text), [(1, 1, after.to_owned())], "{text}");
        }
        // The cause is further up than the line on which it shows.
        assert_eq!(
            found("id,name\n1,\"Tea,1\n2,Tea,1\n3,\"Tea\",1\n4,\"Tea\"s,1\n"),
            [(2, 1, format!("{after} on line 4")), (5, 1, after.to_owned())]
        );
    }

    #[test]
    fn blanks_before_an_opening_quote_are_found() {
        let before = "has blanks before the quote that opens it".to_owned();
        for text in [" \"1\",2", "\t\"1\"", "\u{a0}\"1\"", "\u{3000} \"1\",2", "  \"\""] {
            assert_eq!(found(text), [(1, 0, before.clone())], "{text:?}");
        }
        assert_eq!(found("1, \"a, b\",2\n3, \"c\"\n"), [(1, 1, before.clone()), (2, 1, before)]);
    }

    #[test]
    fn a_quote_that_is_never_closed_is_found_where_it_opens() {
        let open = "has no quote that closes it, up to the end of the file".to_owned();
        for (text, line, field) in [
            ("1,\"Tea", 1, 1),
            ("id\n1,\"Tea\n2,Tea\n", 2, 1),
            ("id\n\n\"", 3, 0),
            ("id\n1,2,\"a\"\"", 2, 2),
            ("1,\"\"\"", 1, 1),
        ] {
            assert_eq!(found(text), [(line, field, open.clone())], "{text:?}");
        }
    }

    #[test]
    fn nul_bytes_are_found_and_headers_told() {
        for (text, line, field, is_header) in [
            ("id\0,name\n", 1, 0, true),
            ("\nid,na\0me\n", 2, 1, true),
            ("id,name\n1,\"Te\0a\"\n", 2, 1, false),
            ("id,name\n1,Tea\n2,Tea\0", 3, 1, false),
        ] {
            let [misread] = &misread(text.as_bytes(), b',')[..] else { panic!("{text:?}") };
            assert_eq!(
                (misread.line, misread.field, misread.is_header),
                (line, field, is_header),
                "{text:?}"
            );
            assert!(misread.message.starts_with("has a NUL byte"), "{text:?}");
        }
    }
}
