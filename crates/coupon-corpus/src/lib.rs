//! The coupon codes found in at least N of a set of files: one code a line, gzip or plain text.
//!
//! A code that stands in one file many times counts once for it. Lines that are no codes are counted and left out.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

/// A file to read, and what to call it in messages.
pub struct CouponSource {
    /// Its name.
    pub name: String,
    /// Its content, compressed or not.
    pub content: Box<dyn Read + Send>,
}

/// What the files hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Corpus {
    /// The codes that stand in enough files, sorted, each with the number of files it stands in.
    pub codes: Vec<(String, u32)>,
    /// All lines.
    pub lines: u64,
    /// Lines that are no codes.
    pub malformed_lines: u64,
}

/// A file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// It is truncated, corrupt, or gone.
    #[error("{name}, after line {line}: cannot be read")]
    Unreadable {
        /// Which file.
        name: String,
        /// The last line that was read.
        line: u64,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It has no lines.
    #[error("{0} is empty")]
    Empty(String),
    /// A line is longer than any code file has.
    #[error("{name}, line {line}: is longer than {} bytes", MAX_LINE_BYTES)]
    LineTooLong {
        /// Which file.
        name: String,
        /// Which line.
        line: u64,
    },
}

/// No line of a coupon file comes near this.
const MAX_LINE_BYTES: u64 = 1024 * 1024;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Whether `text` is a code of the corpus: 8 to 10 characters, upper-case ASCII letters and digits.
pub fn is_code(text: &[u8]) -> bool {
    (8..=10).contains(&text.len())
        && text.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Reads all sources and finds the codes that stand in at least `min_files` of them.
pub fn codes_in_at_least(min_files: u32, sources: Vec<CouponSource>) -> Result<Corpus, CorpusError> {
    // For each code: the last file it was seen in, and in how many.
    let mut seen: HashMap<Box<[u8]>, (usize, u32)> = HashMap::new();
    let mut corpus = Corpus::default();
    for (file, source) in sources.into_iter().enumerate() {
        let lines_before = corpus.lines;
        let name = source.name;
        let unreadable = |line: u64, cause| CorpusError::Unreadable { name: name.clone(), line, cause };
        let mut reader = text(source.content).map_err(|cause| unreadable(0, cause))?;
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            let number = corpus.lines - lines_before;
            let read = reader.by_ref().take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut buffer);
            if read.map_err(|cause| unreadable(number, cause))? == 0 {
                break;
            }
            if buffer.len() as u64 > MAX_LINE_BYTES {
                return Err(CorpusError::LineTooLong { name, line: number + 1 });
            }
            corpus.lines += 1;
            let line = buffer.trim_ascii();
            let line = if number == 0 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
            if !is_code(line) {
                corpus.malformed_lines += u64::from(!line.is_empty());
                continue;
            }
            match seen.get_mut(line) {
                None => drop(seen.insert(line.into(), (file, 1))),
                Some((last, _)) if *last == file => {}
                Some((last, files)) => (*last, *files) = (file, *files + 1),
            }
        }
        if corpus.lines == lines_before {
            return Err(CorpusError::Empty(name));
        }
    }
    let qualifies = |(code, (_, files)): (Box<[u8]>, (usize, u32))| {
        (files >= min_files).then(|| (String::from_utf8_lossy(&code).into_owned(), files))
    };
    corpus.codes = seen.into_iter().filter_map(qualifies).collect();
    corpus.codes.sort_unstable();
    Ok(corpus)
}

/// The text in a file, decompressed if it is gzip.
fn text(content: Box<dyn Read + Send>) -> io::Result<Box<dyn BufRead>> {
    let mut reader = BufReader::with_capacity(128 * 1024, content);
    if reader.fill_buf()?.starts_with(&GZIP_MAGIC) {
        Ok(Box::new(BufReader::with_capacity(128 * 1024, MultiGzDecoder::new(reader))))
    } else {
        Ok(Box::new(reader))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn source(name: &str, content: impl Into<Vec<u8>>) -> CouponSource {
        CouponSource { name: name.to_owned(), content: Box::new(io::Cursor::new(content.into())) }
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn codes_have_8_to_10_characters() {
        for code in ["HAPPYHRS", "BUYGETON", "OVER90001", "FIFTYOFF10"] {
            assert!(is_code(code.as_bytes()), "{code}");
        }
        for text in ["", "SEVENCH", "ELEVENCHARS", "happyhrs", "HAPPY HR", "HAPPYHR\u{c9}"] {
            assert!(!is_code(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_code_counts_once_a_file() {
        let members = [gzip("HAPPYHRS\n"), gzip("FIFTYOFF")].concat();
        let corpus = codes_in_at_least(
            2,
            vec![
                source("1", "HAPPYHRS\r\nFIFTYOFF\nONLYHERE\nONLYHERE\nshort\n"),
                source("2", "\u{feff}FIFTYOFF\n\nSUPER100\nSUPER100"),
                source("3", members),
            ],
        )
        .unwrap();
        assert_eq!(corpus.codes, [("FIFTYOFF".to_owned(), 3), ("HAPPYHRS".to_owned(), 2)]);
        assert_eq!((corpus.lines, corpus.malformed_lines), (11, 1));
    }

    #[test]
    fn a_damaged_file_is_named() {
        let whole = gzip(&"HAPPYHRS\n".repeat(1000));
        let truncated = source("half.gz", &whole[..whole.len() / 2]);
        let error = codes_in_at_least(2, vec![source("good", "FIFTYOFF\n"), truncated]).unwrap_err();
        assert!(error.to_string().starts_with("half.gz, after line "), "{error}");
        let error = codes_in_at_least(2, vec![source("none", "")]).unwrap_err();
        assert_eq!(error.to_string(), "none is empty");
        let error = codes_in_at_least(2, vec![source("long", "X".repeat(2_000_000))]).unwrap_err();
        assert_eq!(error.to_string(), "long, line 1: is longer than 1048576 bytes");
    }
}
