//! Any bytes as coupon files: the digest finds what a simple program finds, or says that a file is damaged where it is.
#![no_main]

mod case;
mod oracle;

use coupon_corpus::{CorpusError, Inflate, Progress, digest};
use libfuzzer_sys::fuzz_target;

use case::Case;
use oracle::Answer;

fuzz_target!(|bytes: &[u8]| {
    let Some(case) = Case::new(bytes) else { return };
    let expected = oracle::answer(&case);
    // Each decoder against the oracle, and so against the other.
    for &inflate in Inflate::ALL {
        let found = found(&case, inflate);
        assert!(found == expected, "{inflate:?} of {case:?}: {found:?}, expected {expected:?}");
    }
});

fn found(case: &Case, inflate: Inflate) -> Answer {
    match digest(case.sources(), &case.settings(inflate), &Progress::default()) {
        Ok(corpus) => {
            let (lines, malformed_lines, count) =
                (corpus.lines, corpus.malformed_lines, corpus.codes.found());
            let codes: Vec<_> = corpus
                .codes
                .map(|code| code.expect("the spill file is read back"))
                .map(|(code, files)| (code.to_string(), u32::from(files)))
                .collect();
            assert_eq!(count, codes.len() as u64);
            Answer::Codes { codes, lines, malformed_lines }
        }
        Err(
            CorpusError::Unreadable { .. }
            | CorpusError::Empty(_)
            | CorpusError::Binary { .. }
            | CorpusError::LineTooLong { .. },
        ) => Answer::Damaged,
        Err(error) => panic!("{error:?}"),
    }
}
