//! Exactness, whatever the files look like and however little memory there is.

use std::collections::{BTreeMap, BTreeSet};

use coupon_corpus::{Inflate, Rule};
use proptest::prelude::*;

use super::{found, gzip, run, settings, source};

/// What a simple program finds: the codes by their number of files, the lines, the malformed lines.
fn oracle(files: &[Vec<u8>], (min, max): (u8, u8), min_files: u32) -> (Vec<(String, u32)>, u64, u64) {
    let mut seen: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    let (mut lines, mut malformed) = (0, 0);
    for (file, text) in files.iter().enumerate() {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        if text.is_empty() && files[file].is_empty() {
            continue;
        }
        for line in text.split(|byte| *byte == b'\n') {
            lines += 1;
            let line = line.trim_ascii();
            let is_code = (usize::from(min)..=usize::from(max)).contains(&line.len())
                && line.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
            if is_code {
                seen.entry(String::from_utf8(line.to_vec()).unwrap()).or_default().insert(file);
            } else if !line.is_empty() {
                malformed += 1;
            }
        }
    }
    let codes = seen.into_iter().map(|(code, files)| (code, u32::try_from(files.len()).unwrap()));
    (codes.filter(|(_, files)| *files >= min_files).collect(), lines, malformed)
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        // Few enough to meet again.
        6 => "[AB]{7,11}",
        3 => "[AB01]{8}",
        3 => "[A-Z0-9]{6,12}",
        1 => "[ -~]{0,20}",
        1 => Just(String::new()),
        1 => Just("AAAAAAAA".to_owned()),
        1 => "\\PC{0,12}",
    ]
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    let lines = prop_oneof![
        prop::collection::vec(line(), 1..300),
        // One code, many times.
        (line(), 1..2000_usize).prop_map(|(line, times)| vec![line; times]),
    ];
    (lines, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(lines, crlf, mark, is_ended)| {
        let mut text = if mark { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
        let end = if crlf { "\r\n" } else { "\n" };
        text.extend_from_slice(lines.join(end).as_bytes());
        if is_ended || text.len() < 4 {
            text.extend_from_slice(end.as_bytes());
        }
        text
    })
}

/// Plain, gzip, gzip in several members with padding.
fn packed(text: &[u8], how: u8) -> Vec<u8> {
    match how % 3 {
        0 => text.to_vec(),
        1 => gzip(text),
        _ => {
            let members: Vec<u8> = text.chunks(text.len() / 3 + 1).flat_map(gzip).collect();
            [members, vec![0; 5]].concat()
        }
    }
}

/// Enough for everything, or so little that all of it is spilled and compared in rounds.
const BUDGETS: [u64; 3] = [512 << 20, 64 << 10, 1 << 10];

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn any_files(
        mut files in prop::collection::vec((file(), any::<u8>()), 1..5),
        is_alike in prop::bool::weighted(0.15),
        lengths in prop_oneof![4 => Just((8, 10)), 1 => Just((1, 3)), 1 => Just((8, 8)), 1 => Just((9, 10)), 1 => Just((1, 10))],
        min_files in 1_u32..4,
        budget in prop::sample::select(&BUDGETS[..]),
        inflate in prop::sample::select(Inflate::ALL),
    ) {
        if is_alike {
            let (first, _) = files[0].clone();
            for (text, _) in &mut files {
                text.clone_from(&first);
            }
        }
        let texts: Vec<_> = files.iter().map(|(text, _)| text.clone()).collect();
        let (codes, lines, malformed) = oracle(&texts, lengths, min_files);
        let sources = files.iter().map(|(text, how)| source("file", packed(text, *how))).collect();
        let settings = coupon_corpus::Settings {
            rule: Rule::new(lengths.0, lengths.1).unwrap(),
            min_files,
            memory_budget_bytes: budget,
            ..settings(inflate)
        };
        let corpus = run(sources, &settings).unwrap();
        prop_assert_eq!((corpus.lines, corpus.malformed_lines), (lines, malformed));
        prop_assert_eq!(corpus.codes.found(), codes.len() as u64);
        prop_assert_eq!(found(corpus), codes);
    }
}

/// Large enough for several chunks, segments, spilled blocks, rounds and sorted runs, and for helping threads.
#[test]
fn large_files_of_every_shape() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut code = |symbols: &[u8], lengths: std::ops::RangeInclusive<usize>| -> Vec<u8> {
        (0..random.usize(lengths)).map(|_| symbols[random.usize(..symbols.len())]).collect()
    };
    let mut text = |symbols: &[u8], lengths: std::ops::RangeInclusive<usize>, lines: usize| -> Vec<u8> {
        (0..lines).flat_map(|_| [code(symbols, lengths.clone()), b"\n".to_vec()].concat()).collect()
    };
    let mixed: Vec<_> = (0..3).map(|_| text(b"ABCD", 8..=10, 120_000)).collect();
    let alike = vec![text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 8..=10, 60_000); 3];
    let by_length: Vec<_> = (8..=10).map(|length| text(b"ABCDEFGH", length..=length, 80_000)).collect();
    let repeated = vec![b"HAPPYHRS\n".repeat(400_000), b"HAPPYHRS\n".repeat(300_000)];
    let one_large =
        vec![text(b"ABCDEF", 8..=8, 300_000), text(b"ABCDEF", 8..=8, 500), b"SUPER100\n".to_vec()];
    let many: Vec<_> = (0..70).map(|_| text(b"AB", 8..=9, 300)).collect();
    for (shape, files) in [
        ("mixed", mixed),
        ("alike", alike),
        ("by length", by_length),
        ("repeated", repeated),
        ("one large", one_large),
        ("many", many),
    ] {
        for (budget, min_files) in [(512 << 20, 2), (300 << 10, 2), (300 << 10, 3)] {
            let (codes, lines, malformed) = oracle(&files, (8, 10), min_files);
            for &inflate in Inflate::ALL {
                let sources = files.iter().map(|text| source("file", gzip(text))).collect();
                let settings =
                    coupon_corpus::Settings { min_files, memory_budget_bytes: budget, ..settings(inflate) };
                let corpus = run(sources, &settings).unwrap();
                assert_eq!((corpus.lines, corpus.malformed_lines), (lines, malformed), "{shape}");
                assert!(found(corpus) == codes, "{shape}, {budget} bytes, {min_files} files, {inflate:?}");
            }
        }
    }
}
