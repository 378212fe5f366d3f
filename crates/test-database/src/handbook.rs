//! Tables of the documentation, to be compared with what the programs do.

use std::fs;
use std::path::Path;

/// The cells of the tables under a heading of a file in `docs/`, without the head rows; backticks are taken off.
pub fn table(file: &str, heading: &str) -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let level = heading.bytes().take_while(|byte| *byte == b'#').count();
    let is_next = |line: &&str| {
        let hashes = line.bytes().take_while(|byte| *byte == b'#').count();
        hashes == 0 || hashes > level
    };
    let section = text.lines().skip_while(|line| *line != heading).skip(1).take_while(is_next);
    let mut rows = Vec::new();
    let mut is_body = false;
    for line in section {
        let Some(cells) = line.strip_prefix('|') else {
            is_body = false;
            continue;
        };
        if cells.starts_with("---") || cells.starts_with(" ---") {
            is_body = true;
        } else if is_body {
            let cells = cells.trim_end().trim_end_matches('|').split('|');
            rows.push(cells.map(|cell| cell.trim().replace('`', "")).collect());
        }
    }
    assert!(!rows.is_empty(), "{file} has no table under {heading:?}");
    rows
}
