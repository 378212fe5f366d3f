//! `database-load coupons` as a process: what it prints, and what it publishes.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::process::Output;

use coupon_corpus::Inflate;
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use test_database::{Program, TestEngine, on_both_engines};

use crate::coupon_harness::{CouponShop, SAMPLES, line};

on_both_engines!(
    the_command_publishes,
    codes_that_are_not_well_formed_are_counted,
    the_first_set_is_published_too,
    a_dry_run_keeps_nothing,
);

const ANSWERS: [&str; 8] =
    ["BIRTHDAY", "BUYGETON", "FIFTYOFF", "FREEZAAA", "GNULINUX", "HAPPYHRS", "OVER9000", "SIXTYOFF"];

/// Prints with a database that is nowhere and, unless it is named, in an empty folder.
fn print<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new("database-load").args(["coupons", "--print"]).args(arguments);
    let output = program
        .env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nowhere")
        .env("TMPDIR", folder.path())
        .in_folder(folder.path())
        .output();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "it made a file");
    output
}

fn printed<'a>(arguments: impl IntoIterator<Item = &'a str>) -> String {
    let output = print(arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn samples() -> [String; 3] {
    [1, 2, 3].map(|number| format!("{SAMPLES}/couponbase{number}.gz"))
}

/// All different lines of the samples.
fn all_codes() -> BTreeSet<String> {
    let mut text = String::new();
    for sample in samples() {
        GzDecoder::new(fs::File::open(sample).unwrap()).read_to_string(&mut text).unwrap();
    }
    text.lines().map(str::to_owned).collect()
}

#[test]
fn codes_are_printed_sorted() {
    let samples = samples();
    let files = || samples.iter().map(String::as_str);
    let expected: String = ANSWERS.iter().map(|code| format!("{code}\n")).collect();
    assert_eq!(printed(files()), expected);
    // README.md in the folder is none of the files.
    assert_eq!(printed([SAMPLES]), expected);
    assert_eq!(printed([&samples[2], &samples[0], &samples[1]].map(String::as_str)), expected);
    assert_eq!(printed(files().chain(["--min-files", "2"])), expected);
    let in_three: String =
        ANSWERS.iter().filter(|code| **code != "HAPPYHRS").map(|code| format!("{code}\n")).collect();
    assert_eq!(printed(files().chain(["--min-files", "3"])), in_three);
    let all: String = all_codes().iter().map(|code| format!("{code}\n")).collect();
    assert_eq!(printed(files().chain(["--min-files", "1"])), all);
}

#[test]
fn without_a_database_url_no_database_is_made_either() {
    let folder = tempfile::tempdir().unwrap();
    let program =
        Program::new("database-load").args(["coupons", "--print", SAMPLES]).in_folder(folder.path());
    let output = program.env("TMPDIR", folder.path()).output();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn json_has_the_number_of_files() {
    let found: Value = serde_json::from_str(&printed([SAMPLES, "--json"])).expect("JSON and nothing else");
    assert_eq!((&found["lines"], &found["malformed_lines"]), (&json!(1526), &json!(0)));
    let files = |code| if code == "HAPPYHRS" { 2 } else { 3 };
    let expected: Vec<_> =
        ANSWERS.iter().map(|code| json!({ "code": code, "files": files(*code) })).collect();
    assert_eq!(found["codes"], json!(expected));
    let other = tempfile::NamedTempFile::new().unwrap();
    fs::write(&other, "ZZZZZZZZZ\n").unwrap();
    let files = [&samples()[0], other.path().to_str().unwrap(), "--json"];
    let none: Value = serde_json::from_str(&printed(files)).expect("JSON");
    assert_eq!(none["codes"], json!([]));
}

#[test]
fn the_version_names_the_decoder() {
    let output = Program::new("database-load").args(["--version"]).output();
    let version = String::from_utf8(output.stdout).unwrap();
    let expected =
        format!("database-load {} (gzip by {})\n", env!("CARGO_PKG_VERSION"), Inflate::FASTEST.name());
    assert_eq!(version, expected, "programs and tests are built with the same features");
}

#[test]
fn wrong_arguments_are_refused_with_an_example() {
    for (arguments, fault) in [
        (&[SAMPLES, "--memory-budget", "1MiB"][..], "is not an amount of memory from 32MiB; example: 512MiB"),
        (&[SAMPLES, "--memory-budget", "lots"], "example: 512MiB"),
        (&[SAMPLES, "--spill-size-limit", "0"], "is not an amount of disk above 0; example: 16Gi"),
        (
            &[SAMPLES, "--spill-size-limit", "4GB"],
            "SPILL_SIZE_LIMIT: \"4GB\" is not an amount of disk above 0",
        ),
        (&[SAMPLES, "--spill-size-limit", "-1Gi"], "'-1'"),
        (&[SAMPLES, "--min-files", "0"], "0"),
        (&[SAMPLES, "--min-files", "1025"], "1025"),
        (&[], "required arguments were not provided"),
    ] {
        let output = print(arguments.iter().copied());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(fault) && said.lines().count() == 1, "{arguments:?}: {said}");
        assert!(output.stdout.is_empty());
    }
}

async fn the_command_publishes(engine: TestEngine) {
    let shop = CouponShop::new(engine).await;
    let run = async |arguments: &[&str]| {
        let output = shop.coupons(arguments.iter().copied().chain(["--json"])).output();
        assert!(output.status.success(), "{output:?}");
        let summary: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
        let outcome = summary[0]["outcome"].as_str().unwrap().to_owned();
        assert_eq!((summary.as_array().unwrap().len(), &summary[0]["data_set"]), (1, &json!("coupons")));
        assert_eq!(summary[0]["read"], if outcome == "published" { shop.codes().await.len() } else { 0 });
        (outcome, shop.generation().await)
    };
    let expected: Vec<_> =
        ANSWERS.iter().map(|code| format!("{code} {}", if *code == "HAPPYHRS" { 2 } else { 3 })).collect();
    assert_eq!(run(&[SAMPLES]).await, ("published".to_owned(), 2));
    assert_eq!(shop.codes().await, expected);
    assert_eq!(run(&[SAMPLES]).await, ("unchanged".to_owned(), 2));
    let in_three: Vec<_> = expected.iter().filter(|code| code.ends_with('3')).cloned().collect();
    assert_eq!(run(&[SAMPLES, "--min-files", "3"]).await, ("published".to_owned(), 3));
    assert_eq!(shop.codes().await, in_three);
    assert_eq!(run(&[SAMPLES, "--min-files", "1"]).await, ("published".to_owned(), 4));
    assert_eq!(shop.codes().await.len(), all_codes().len());
    assert_eq!(run(&[SAMPLES, "--min-files", "1"]).await, ("unchanged".to_owned(), 4));
    let rows = shop.shop.database.number("select count(distinct generation) from coupon_codes").await;
    assert_eq!((rows, shop.litter().len()), (1, 0), "old generations are removed");
    // Nothing else is loaded.
    assert_eq!(shop.shop.database.number("select count(*) from products").await, 0);
}

async fn codes_that_are_not_well_formed_are_counted(engine: TestEngine) {
    let shop = CouponShop::new(engine).await;
    let text = "BBBBBBBB\r\nbbbbbbbb\nSEVEN77\nELEVENCHARS\n\nBBBB BBB\n";
    shop.write("one.txt", text);
    shop.write("two.txt", [&b"\xef\xbb\xbf"[..], text.as_bytes(), b"\xff\xfe\x7f"].concat());
    let output = shop.coupons([shop.folder_text()]).output();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let read = line(&output, "coupon files read");
    assert_eq!(
        (&read["lines"], &read["malformed_lines"], &read["codes"]),
        (&json!(13), &json!(9), &json!(1))
    );
    assert_eq!(shop.codes().await, ["BBBBBBBB 2"]);
}

async fn the_first_set_is_published_too(engine: TestEngine) {
    let shop = CouponShop::new(engine).await;
    shop.shop.database.execute("delete from coupon_codes; delete from data_loads").await;
    let output = shop.coupons([SAMPLES]).output();
    assert!(output.status.success(), "{output:?}");
    assert_eq!((shop.codes().await.len(), shop.generation().await), (8, 1));
}

async fn a_dry_run_keeps_nothing(engine: TestEngine) {
    let shop = CouponShop::new(engine).await;
    let before = shop.state().await;
    let program = Program::new("database-load").args(["--dry-run", "coupons", SAMPLES]);
    let output = program.env("DATABASE_URL", shop.shop.database.url_text()).output();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(line(&output, "coupons")["read"], 8);
    assert_eq!(shop.state().await, before);
}
