//! Memory that `database-load coupons` takes, whatever the files look like: never more than it is given.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use test_database::Program;

use crate::coupon_harness::gzip;

/// The program's own code included.
const BUDGET: &str = "48MiB";
const BUDGET_BYTES: u64 = 48 << 20;
const LINES: usize = 1_500_000;

/// The largest amount of memory that a run took, what it printed in lines, and what it put elsewhere in bytes.
fn run(folder: &Path) -> (u64, usize, u64) {
    let spill = tempfile::tempdir().unwrap();
    let arguments = ["coupons", folder.to_str().unwrap(), "--print", "--memory-budget", BUDGET];
    // Some of the shapes are copies on purpose.
    let program = Program::new("database-load").args(arguments).args(["--allow-same-files"]);
    let mut process = program.env("TMPDIR", spill.path()).start();
    let status = format!("/proc/{}/status", process.id());
    let mut peak_bytes = 0;
    // The kernel keeps the highest until the process ends; then the line is gone.
    while let Some(bytes) = fs::read_to_string(&status).ok().and_then(|status| high_water(&status)) {
        peak_bytes = bytes;
        std::thread::sleep(Duration::from_micros(500)); // ok: samples until the process ends
    }
    let status = process.wait(Duration::from_secs(60));
    let said = process.stderr();
    assert!(status.success(), "{said}");
    let read = said.lines().find(|line| line.contains("\"coupon files read\"")).expect("a line in the log");
    let read: serde_json::Value = serde_json::from_str(read).unwrap();
    (peak_bytes, process.log.len(), read["spilled_bytes"].as_u64().unwrap())
}

fn high_water(status: &str) -> Option<u64> {
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    kilobytes.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// Codes that look random and never repeat for one seed: of the lengths given, in turn.
fn codes(seed: u64, lengths: &'static [usize], lines: usize) -> impl Iterator<Item = Vec<u8>> {
    const SYMBOLS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    (0..lines).map(move |line| {
        // A bijection of 41 bits, which eight symbols can tell apart.
        let mut number = (line as u64 + (seed << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) & ((1 << 41) - 1);
        let mut code = Vec::with_capacity(11);
        for _ in 0..lengths[line % lengths.len()] {
            code.push(SYMBOLS[usize::try_from(number % 36).unwrap()]);
            number /= 36;
        }
        code.push(b'\n');
        code
    })
}

/// A folder of files, each with these lines.
fn folder<L: Iterator<Item = Vec<u8>>>(files: u64, lines: impl Fn(u64) -> L) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in 0..files {
        let mut out = BufWriter::new(File::create(folder.path().join(file.to_string())).unwrap());
        lines(file).for_each(|line| out.write_all(&line).unwrap());
        out.flush().unwrap();
    }
    folder
}

fn stays_below_the_budget(shape: &str, folder: &TempDir, expected: usize) {
    let (peak_bytes, found, spilled_bytes) = run(folder.path());
    assert_eq!(found, expected, "{shape}");
    assert!(spilled_bytes > 0, "{shape}: everything fits, which shows nothing");
    assert!(peak_bytes < BUDGET_BYTES, "{shape}: {} KiB", peak_bytes / 1024);
}

const ALL: &[usize] = &[8, 9, 10];

#[test]
fn the_peak_stays_below_the_budget() {
    let lengths: [&'static [usize]; 3] = [&[8], &[9], &[10]];
    let reference = folder(3, |file| codes(file, lengths[usize::try_from(file).unwrap()], LINES));
    stays_below_the_budget("a length for each file", &reference, 0);
    stays_below_the_budget("all lengths in all files", &folder(3, |file| codes(file, ALL, LINES)), 0);
    stays_below_the_budget("all files alike", &folder(3, |_| codes(0, ALL, LINES)), LINES);
    let twice = folder(3, |file| codes(file, ALL, LINES / 2).map(|code| code.repeat(2)));
    stays_below_the_budget("every line twice", &twice, 0);
    let one_code = gzip(&b"HAPPYHRS\n".repeat(100_000)).repeat(LINES / 100_000);
    stays_below_the_budget("one code", &folder(3, |_| std::iter::once(one_code.clone())), 1);
    stays_below_the_budget("200 files", &folder(200, |_| codes(0, ALL, 22_000)), 22_000);
    let long_line = [vec![b'X'; 400 << 10], vec![b'\n']].concat();
    let long_lines = folder(3, |file| {
        let codes = codes(file, ALL, LINES).enumerate();
        codes.map(|(line, code)| if line % 50_000 == 0 { [&long_line[..], &code].concat() } else { code })
    });
    stays_below_the_budget("long lines", &long_lines, 0);
}

#[test]
fn the_peak_stays_below_the_budget_with_many_files() {
    stays_below_the_budget("900 files", &folder(900, |_| codes(0, ALL, 5000)), 5000);
}
