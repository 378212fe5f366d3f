//! Files that hold the same codes in different forms, and files that are a part of another file.

use std::collections::{BTreeMap, BTreeSet};

use coupon_corpus::{Corpus, Inflate, Same, Settings};
use proptest::prelude::*;

use super::{gzip, run, settings, source};

fn list(prefix: &str, numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("{prefix}{number:06}")).collect()
}

fn text(lines: &[String], end: &str) -> Vec<u8> {
    lines.iter().flat_map(|line| format!("{line}{end}").into_bytes()).collect()
}

fn digest(files: &[Vec<u8>], min_files: u32, memory_budget_bytes: u64) -> Corpus {
    let sources = files.iter().map(|content| source("file", content.clone())).collect();
    run(sources, &Settings { min_files, memory_budget_bytes, ..settings(Inflate::FASTEST) }).unwrap()
}

/// The first budget is enough for everything. With the second one, codes are spilled and compared in rounds.
const BUDGETS: [u64; 2] = [512 << 20, 2 << 10];

#[test]
fn a_copy_is_found_whatever_it_looks_like() {
    let original = list("AAA", 0..1000);
    let other = [list("BBB", 0..2000), list("AAA", 0..5)].concat();
    let mut reversed = original.clone();
    reversed.reverse();
    let repeated = [&original[..], &original[300..500], &original[..7]].concat();
    let mark = [b"\xef\xbb\xbf", &text(&original, "\n")[..]].concat();
    let with_notes = [&text(&original, "\r\n\r\n")[..], b"see the wiki\nlower999\n"].concat();
    let without_last_end = original.join("\n").into_bytes();
    for copy in [
        text(&original, "\n"),
        gzip(&text(&original, "\n")),
        text(&reversed, "\n"),
        text(&original, "\r\n"),
        text(&original, " \t\n\n"),
        text(&repeated, "\n"),
        gzip(&text(&repeated, "\r\n")),
        mark,
        with_notes,
        without_last_end,
    ] {
        for budget in BUDGETS {
            for min_files in 1..=3 {
                let files = [gzip(&text(&original, "\n")), text(&other, "\n"), copy.clone()];
                let same = digest(&files, min_files, budget).same;
                assert_eq!(same, [Same { files: vec![0, 2], codes: 1000 }], "{min_files} {budget}");
            }
        }
    }
}

#[test]
fn one_code_is_a_difference() {
    let original = list("AAA", 0..1000);
    let longer = [&original[..], &["ZZZZZZZZZ".to_owned()]].concat();
    let mut changed = original.clone();
    changed[500] = "ZZZZZZZZZ".to_owned();
    let mut longer_code = original.clone();
    longer_code[999].push('0');
    for other in [&original[1..], &longer, &changed, &longer_code] {
        for budget in BUDGETS {
            for min_files in 1..=4 {
                // As many lines as in the longer file, so that the number of lines tells nothing.
                let repeated = [&original[..], &original[..1]].concat();
                let files = [&original, other, &repeated[..]].map(|lines| text(lines, "\n"));
                let corpus = digest(&files, min_files, budget);
                assert_eq!(corpus.same, [Same { files: vec![0, 2], codes: 1000 }], "{min_files} {budget}");
                let files = [text(other, "\n"), text(&repeated, "\n")];
                assert_eq!(digest(&files, min_files, budget).same, [], "{min_files} {budget}");
            }
        }
    }
}

#[test]
fn a_part_of_another_file_is_told() {
    let whole = list("AAA", 0..10_000);
    let own = list("BBB", 0..10_000);
    let file = |from: u32, own_codes: usize| [&whole[from as usize..], &own[..own_codes]].concat();
    for (part, percent) in [
        (file(5000, 0), Some(100)),
        (file(1000, 100), Some(98)),
        (file(9900, 1), Some(99)),
        (file(9950, 0), None),
        (file(5000, 1000), None),
        (own.clone(), None),
    ] {
        for budget in BUDGETS {
            let files = [text(&whole, "\n"), text(&own[9000..], "\n"), gzip(&text(&part, "\n"))];
            let corpus = digest(&files, 2, budget);
            let found = corpus.contained.iter().find(|contained| contained.file == 2);
            assert_eq!(found.map(|found| (found.within, found.percent)), percent.map(|percent| (0, percent)));
            assert_eq!(corpus.same, []);
        }
    }
}

/// There are so many codes that parts are estimated from some partitions, while copies are compared in all of them.
#[test]
fn large_files_are_compared_too() {
    let whole = list("AAA", 0..800_000);
    let files = [text(&whole, "\n"), text(&whole[..780_000], "\n"), gzip(&text(&whole, "\r\n"))];
    let corpus = digest(&files, 2, 64 << 20);
    assert_eq!(corpus.same, [Same { files: vec![0, 2], codes: 800_000 }]);
    let [contained] = corpus.contained[..] else { panic!("{:?}", corpus.contained) };
    assert_eq!((contained.file, contained.percent), (1, 100));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn exactly_the_same_sets_are_the_same(
        files in prop::collection::vec(prop::collection::vec("[AB]{8}", 0..6), 1..7),
        copies in prop::collection::vec((0_usize..6, any::<bool>()), 0..70),
        min_files in 1_u32..5,
        budget in prop::sample::select(&BUDGETS[..]),
    ) {
        let mut files = files;
        for (of, is_longer) in copies {
            let mut copy = files[of % files.len()].clone();
            copy.reverse();
            if is_longer {
                copy.extend(copy.clone());
            }
            files.push(copy);
        }
        let mut by_codes: BTreeMap<BTreeSet<&String>, Vec<usize>> = BTreeMap::new();
        for (file, lines) in files.iter().enumerate() {
            by_codes.entry(lines.iter().collect()).or_default().push(file);
        }
        let mut expected: Vec<_> = by_codes
            .into_iter()
            .filter(|(codes, files)| !codes.is_empty() && files.len() > 1)
            .map(|(codes, files)| Same { files, codes: codes.len() as u64 })
            .collect();
        expected.sort_by_key(|same| same.files[0]);
        let texts: Vec<_> = files.iter().map(|lines| [b"\n", &text(lines, "\n")[..]].concat()).collect();
        prop_assert_eq!(digest(&texts, min_files, budget).same, expected);
    }
}
