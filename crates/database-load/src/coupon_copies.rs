//! A code is valid when several files hold it, so one list must not count as several files.

use coupon_corpus::Corpus;

use crate::coupon_files::CouponFile;
use crate::{CouponOptions, LoadError};

/// From so many codes on, the same ones in two files are a copy. Fewer are what a small shop types into both files to
/// make them valid, and what is loaded for trying things out.
const LEAST_CODES: u64 = 10;

/// Refuses files that hold the same codes, unless that is allowed, and warns of what may be a copy.
pub(crate) fn check(files: &[CouponFile], corpus: &Corpus, options: &CouponOptions) -> Result<(), LoadError> {
    for same in &corpus.same {
        let names: Vec<_> = same.files.iter().map(|file| files[*file].name()).collect();
        // In one file or more: then every code is valid anyway.
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
