//! Damaged files, and no room.

use std::path::PathBuf;

use coupon_corpus::{CorpusError, Inflate, Progress, Settings, digest};

use super::{gzip, run, settings, source};

fn refusal(content: &[u8], inflate: Inflate) -> String {
    let sources = vec![source("good.txt", "FIFTYOFF\n"), source("bad.gz", content)];
    let error = run(sources, &settings(inflate)).unwrap_err();
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    format!("{error}: {cause}")
}

#[test]
fn damaged_files_are_named() {
    let whole = gzip("HAPPYHRS\nBIRTHDAY\nFIFTYOFF\n".repeat(1000).as_bytes());
    for &inflate in Inflate::ALL {
        for length in [3, 11, whole.len() / 2, whole.len() - 1] {
            let text = refusal(&whole[..length], inflate);
            let expected = format!("bad.gz, about byte {length}: cannot be read: the gzip data end early");
            assert_eq!(text, expected, "{inflate:?}");
        }
        for position in [2, whole.len() / 2, whole.len() - 6, whole.len() - 2] {
            let mut corrupt = whole.clone();
            corrupt[position] ^= 0x55;
            let text = refusal(&corrupt, inflate);
            assert!(text.starts_with("bad.gz, about byte "), "{inflate:?} {position}: {text}");
            assert!(text.contains("cannot be read: the gzip data"), "{inflate:?} {position}: {text}");
        }
        let text = refusal(&[&whole[..], b"HAPPYHRS\n"].concat(), inflate);
        assert!(text.contains("after the gzip data there is something else"), "{inflate:?}: {text}");
        assert!(refusal(b"", inflate).starts_with("bad.gz is empty"));
        assert!(refusal(&gzip(b""), inflate).starts_with("bad.gz is empty"));
        let text = refusal(&[b"HAPPYHRS\n", &b"X".repeat(3_000_000)[..]].concat(), inflate);
        assert!(
            text.starts_with("bad.gz: the line at byte 9 of the text is longer than 1048576 bytes"),
            "{text}"
        );
        let text = refusal(&gzip(&b"X".repeat(1_048_577)), inflate);
        assert!(text.starts_with("bad.gz: the line at byte 0 of the text is longer"), "{text}");
    }
}

/// A tar archive of one file, padded as tar does it.
fn tar(text: &[u8]) -> Vec<u8> {
    let mut header = [&b"codes.txt"[..], &[0; 248], b"ustar\x0000", &[0; 247]].concat();
    header.resize(512, 0);
    let padding = vec![0; text.len().next_multiple_of(512) - text.len() + 1024];
    [&header[..], text, &padding].concat()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn what_is_no_text_is_refused() {
    let list: String = (0..3000).map(|number| format!("AAA{number:06}\n")).collect();
    let stored_zip = [b"PK\x03\x04\x0a\0\0\0\0\0", list.as_bytes()].concat();
    for (content, said) in [
        (tar(list.as_bytes()), "what stands at byte 0 of the text is a tar archive; unpack it"),
        (gzip(list.as_bytes()), "what stands at byte 0 of the text is gzip; unpack it first"),
        (stored_zip, "what stands at byte 0 of the text is a zip archive"),
        (utf16(&format!("\u{feff}{list}")), "what stands at byte 0 of the text is UTF-16; save it as UTF-8"),
        (utf16(&list), "what stands at byte 0 of the text is UTF-16; save it as UTF-8"),
        // Tar archives from before 1988 have no magic.
        ([&[b'c'; 20][..], &[0; 492], list.as_bytes()].concat(), "byte 20 of the text is a NUL byte"),
        ([list.as_bytes(), b"\0"].concat(), "byte 30000 of the text is a NUL byte, which no text has"),
        ([list.as_bytes(), &[0; 4096]].concat(), "byte 30000 of the text is a NUL byte"),
        ([list.as_bytes(), b"HAPPYHRS\0"].concat(), "byte 30008 of the text is a NUL byte"),
        ([list.as_bytes(), b"   \0\n", list.as_bytes()].concat(), "byte 30003 of the text is a NUL byte"),
        ([list.as_bytes(), b"HAPPYHRS\0\r\n", list.as_bytes()].concat(), "byte 30008 of the text"),
    ] {
        for &inflate in Inflate::ALL {
            let text = refusal(&gzip(&content), inflate);
            assert!(text.starts_with("bad.gz: what stands at ") && text.contains(said), "{said}: {text}");
            // Content that is gzip is left out: as a file of its own, it would be unpacked and accepted.
            if !content.starts_with(b"\x1f\x8b") {
                assert_eq!(refusal(&content, inflate), text);
            }
        }
    }
}

/// Text is scanned in chunks of up to 256 KiB that end with a line, some of them by threads without a file.
#[test]
fn a_nul_byte_is_found_wherever_it_is() {
    let list = "HAPPYHRS\n".repeat(100_000).into_bytes();
    for at in [0, 1, 7, 8, 262_143, 262_144, 262_145, 524_288, list.len() - 1] {
        let mut damaged = list.clone();
        damaged[at] = 0;
        let expected = format!("bad.gz: what stands at byte {at} of the text is a NUL byte");
        for &inflate in Inflate::ALL {
            for content in [damaged.clone(), gzip(&damaged)] {
                let text = refusal(&content, inflate);
                assert!(text.starts_with(&expected), "{text}, expected {expected}");
            }
        }
    }
    // A NUL byte in a line that is too long.
    let mut long = b"X".repeat(3_000_000);
    long[1_000_000] = 0;
    let text = refusal(&[b"HAPPYHRS\n", &long[..]].concat(), Inflate::Portable);
    assert!(text.starts_with("bad.gz: what stands at byte 1000009 of the text is a NUL byte"), "{text}");
}

#[test]
fn a_long_line_is_only_malformed() {
    let text = [&b"X".repeat(1_048_576)[..], b"\nHAPPYHRS"].concat();
    let corpus = run(vec![source("long", text)], &settings(Inflate::Portable)).unwrap();
    assert_eq!((corpus.lines, corpus.malformed_lines), (2, 1));
}

/// Too much for 32 KiB of memory.
fn large() -> Vec<u8> {
    (0..200_000).flat_map(|number| format!("AAA{number:06}\n").into_bytes()).collect()
}

fn spilling(directory: PathBuf) -> Settings {
    Settings { memory_budget_bytes: 32 * 1024, spill_directory: directory, ..settings(Inflate::Portable) }
}

#[test]
fn no_room_is_said_and_nothing_is_left() {
    let error = run(vec![source("large", large())], &spilling("/nowhere".into())).unwrap_err();
    assert!(matches!(&error, CorpusError::Spill { directory, .. } if directory == "/nowhere"), "{error}");

    let directory = tempfile::tempdir().unwrap();
    let limited = Settings { spill_limit_bytes: 100_000, ..spilling(directory.path().to_owned()) };
    let error = run(vec![source("large", large())], &limited).unwrap_err();
    assert!(matches!(error, CorpusError::SpillLimit { limit_bytes: 100_000, .. }), "{error}");

    // While it is in use the file has no name already: there is nothing to leave behind.
    let settings = spilling(directory.path().to_owned());
    let corpus = run(vec![source("1", large()), source("2", large())], &settings).unwrap();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    assert_eq!((corpus.codes.found(), corpus.codes.count()), (200_000, 200_000));
}

#[test]
fn it_can_be_called_off() {
    let progress = Progress::default();
    progress.cancel();
    let error = digest(vec![source("1", large())], &settings(Inflate::Portable), &progress).unwrap_err();
    assert!(matches!(error, CorpusError::Cancelled), "{error}");
}
