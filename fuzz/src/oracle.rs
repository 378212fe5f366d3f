//! What a simple program finds, with everything in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use coupon_corpus::Binary;
use flate2::bufread::GzDecoder;

use crate::case::Case;

/// What files hold.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    Codes {
        codes: Vec<(String, u32)>,
        lines: u64,
        malformed_lines: u64,
    },
    /// One of them is not gzip to its end, empty, no text, or has too long a line.
    Damaged,
}

const MOST_LINE_BYTES: usize = 1024 * 1024;

pub fn answer(case: &Case) -> Answer {
    let mut seen: BTreeMap<&[u8], BTreeSet<usize>> = BTreeMap::new();
    let (mut lines, mut malformed_lines) = (0, 0);
    let Some(texts) = case.files.iter().map(|file| text(file)).collect::<Option<Vec<_>>>() else {
        return Answer::Damaged;
    };
    for (file, text) in texts.iter().enumerate() {
        if Binary::beginning(text).is_some() || text.contains(&Binary::NUL) {
            return Answer::Damaged;
        }
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        if text.is_empty() {
            return Answer::Damaged;
        }
        for line in text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n') {
            if line.len() > MOST_LINE_BYTES {
                return Answer::Damaged;
            }
            lines += 1;
            let line = line.trim_ascii();
            let is_code = (usize::from(case.lengths.0)..=usize::from(case.lengths.1)).contains(&line.len())
                && line.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
            if is_code {
                seen.entry(line).or_default().insert(file);
            } else if !line.is_empty() {
                malformed_lines += 1;
            }
        }
    }
    let codes = seen
        .into_iter()
        .map(|(code, files)| (String::from_utf8_lossy(code).into_owned(), files.len() as u32))
        .filter(|(_, files)| *files >= case.min_files)
        .collect();
    Answer::Codes { codes, lines, malformed_lines }
}

/// The text of a file. `None` if it is damaged.
fn text(file: &[u8]) -> Option<Vec<u8>> {
    if !file.starts_with(&[0x1f, 0x8b]) {
        return Some(file.to_vec());
    }
    let (mut text, mut rest) = (Vec::new(), file);
    loop {
        let mut member = GzDecoder::new(rest);
        member.read_to_end(&mut text).ok()?;
        rest = member.into_inner();
        // Padding.
        while let [0, after @ ..] = rest {
            rest = after;
        }
        if rest.is_empty() {
            return Some(text);
        }
    }
}
