//! The codes of coupon files on stdout.

use std::io::{self, BufWriter, Write};

use coupon_corpus::Corpus;
use database_load::LoadError;

use crate::failure::Failure;

/// Writes them a line each, or as JSON with the number of files of each.
pub(crate) fn codes(corpus: Corpus, json: bool) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    if json {
        let (lines, malformed_lines) = (corpus.lines, corpus.malformed_lines);
        write!(out, "{{\"lines\":{lines},\"malformed_lines\":{malformed_lines},\"codes\":[")?;
    }
    for (position, code) in corpus.codes.enumerate() {
        let (code, files) = code.map_err(LoadError::from)?;
        if json {
            let separator = if position > 0 { "," } else { "" };
            // Letters and digits need no escape.
            write!(out, "{separator}\n{{\"code\":\"{code}\",\"files\":{files}}}")?;
        } else {
            writeln!(out, "{code}")?;
        }
    }
    if json {
        writeln!(out, "\n]}}")?;
    }
    Ok(out.flush()?)
}
