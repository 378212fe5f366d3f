//! A code is valid when several files hold it, so one list must not count as several files.

use coupon_corpus::Corpus;

use crate::coupon_files::CouponFile;
use crate::{CouponOptions, LoadError};

/// Files that hold the same codes count as copies from this many codes on. A small shop types fewer codes into several
/// files to make them valid, and so does a tester.
const LEAST_CODES: u64 = 10;

/// Refuses files that hold the same codes, unless that is allowed. Warns of files that may be copies.
pub(crate) fn check(files: &[CouponFile], corpus: &Corpus, options: &CouponOptions) -> Result<(), LoadError> {
    for same in &corpus.same {
        let names: Vec<_> = same.files.iter().map(|file| files[*file].name()).collect();
        // If one file is enough, every code is valid anyway.
        let is_harmless = options.min_files == 1 || same.codes < LEAST_CODES;
        if !is_harmless && !options.allow_same_files {
            return Err(LoadError::SameFiles { files: names, codes: same.codes });
        }
        tracing::warn!(files = names.join(", "), codes = same.codes, "these files hold the same codes");
    }
    for contained in &corpus.contained {
        tracing::warn!(
            file = files[contained.file].name(),
            within = files[contained.within].name(),
            percent = contained.percent,
            "nearly all codes of a file are in another one, too: is it a copy of a part?"
        );
    }
    Ok(())
}
