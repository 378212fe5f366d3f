//! One list must not count as several files.

use std::fs;

use serde_json::json;
use test_database::{Program, TestEngine, on_both_engines};

use crate::coupon_harness::{CouponShop, gzip, line, log};

on_both_engines!(
    copies_are_refused,
    copies_can_be_allowed,
    a_handful_of_codes_is_only_warned_about,
    a_part_of_another_file_is_only_warned_about,
);

fn list(prefix: &str, codes: u32) -> Vec<String> {
    (0..codes).map(|number| format!("{prefix}{number:06}")).collect()
}

fn lines(codes: &[String], end: &str) -> String {
    codes.iter().map(|code| format!("{code}{end}")).collect()
}

/// Runs the load, which must name the two files and leave everything as it was.
async fn assert_refused(shop: &CouponShop, what: &str, program: Program, files: [&str; 2], codes: u32) {
    let before = shop.state().await;
    let output = program.output();
    assert_eq!(output.status.code(), Some(4), "{what}: {output:?}");
    let said = log(&output).into_iter().find(|line| line["level"] == "ERROR").expect("an error");
    let [one, other] = files.map(|file| shop.folder.join(file));
    let expected = format!(
        "{} and {} hold the same {codes} codes, so that one list would count as 2 files; remove all of them but \
         one, or allow it with --allow-same-files (ALLOW_SAME_FILES=true)",
        one.display(),
        other.display()
    );
    assert_eq!(said["message"], expected, "{what}");
    assert_eq!(shop.state().await, before, "{what}");
}

async fn copies_are_refused(engine: TestEngine) {
    let shop = CouponShop::new(engine).await;
    let codes = list("AAA", 1000);
    let mut reversed = codes.clone();
    reversed.reverse();
    let repeated = [&codes[..], &codes[..100]].concat();
    let plain = lines(&codes, "\n");
    shop.write("one.txt", gzip(plain.as_bytes()));
    for (what, copy) in [
        ("plain", plain.clone().into_bytes()),
        ("two members of gzip", [gzip(&plain.as_bytes()[..500]), gzip(&plain.as_bytes()[500..])].concat()),
        ("another order", lines(&reversed, "\n").into_bytes()),
        ("CRLF", lines(&codes, "\r\n").into_bytes()),
        ("blank lines", lines(&codes, "\n\n \n").into_bytes()),
        ("no last line end", codes.join("\n").into_bytes()),
        ("repeated lines", lines(&repeated, "\n").into_bytes()),
        ("a mark and a note", format!("\u{feff}Codes of May\n{plain}").into_bytes()),
    ] {
        shop.write("two.txt", copy);
        let files = ["one.txt", "two.txt"];
        assert_refused(&shop, what, shop.load(), files, 1000).await;
        assert_refused(&shop, what, shop.coupons([shop.folder_text()]), files, 1000).await;
        assert_refused(&shop, what, shop.coupons([shop.folder_text(), "--print"]), files, 1000).await;
        assert_refused(&shop, what, shop.load().args(["--dry-run"]), files, 1000).await;
    }
    // With other files beside the copies, and with more files needed than there are copies.
    shop.write("three.txt", lines(&list("BBB", 2000), "\n"));
    for min_files in ["2", "3"] {
        let program = shop.coupons([shop.folder_text(), "--min-files", min_files]);
        assert_refused(&shop, min_files, program, ["one.txt", "two.txt"], 1000).await;
    }
    shop.write("one.txt", lines(&list("CCC", 10), "\n"));
    shop.write("two.txt", lines(&list("CCC", 10), "\n"));
    assert_refused(&shop, "ten", shop.load(), ["one.txt", "two.txt"], 10).await;
    // One more code makes another list.
    shop.write("two.txt", lines(&[&list("CCC", 10)[..], &["DDDDDDDD".to_owned()]].concat(), "\n"));
    assert!(shop.load().output().status.success());
    assert_eq!(shop.codes().await.len(), 10);
}

async fn copies_can_be_allowed(engine: TestEngine) {
    let shop = CouponShop::new(engine).await;
    let plain = lines(&list("AAA", 1000), "\n");
    shop.write("one.txt", gzip(plain.as_bytes()));
    shop.write("two.txt", plain);
    let refused = shop.load().env("ALLOW_SAME_FILES", "false").output();
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    let unreadable = shop.load().env("ALLOW_SAME_FILES", "perhaps").output();
    assert_eq!(unreadable.status.code(), Some(2), "{unreadable:?}");
    assert!(String::from_utf8_lossy(&unreadable.stderr).contains("example: ALLOW_SAME_FILES=true"));
    // If one file is enough, a copy changes nothing.
    let any = shop.coupons([shop.folder_text(), "--min-files", "1", "--print"]).output();
    assert_eq!(String::from_utf8(any.stdout).unwrap().lines().count(), 1000);
    let print = shop.coupons([shop.folder_text(), "--print", "--allow-same-files"]).output();
    assert_eq!(String::from_utf8(print.stdout).unwrap().lines().count(), 1000);
    let output = shop.load().env("ALLOW_SAME_FILES", "true").output();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(line(&output, "these files hold the same codes")["codes"], 1000);
    assert_eq!(shop.codes().await.len(), 1000);
}

async fn a_handful_of_codes_is_only_warned_about(engine: TestEngine) {
    let shop = CouponShop::new(engine).await;
    for codes in [1, 5, 9] {
        shop.write("one.txt", lines(&list("AAA", codes), "\n"));
        shop.write("two.txt", lines(&list("AAA", codes), "\r\n"));
        let output = shop.load().output();
        assert!(output.status.success(), "{codes}: {output:?}");
        let warned = line(&output, "these files hold the same codes");
        assert_eq!((&warned["level"], &warned["codes"]), (&json!("WARN"), &json!(codes)));
        assert_eq!(shop.codes().await.len(), codes as usize);
    }
}

async fn a_part_of_another_file_is_only_warned_about(engine: TestEngine) {
    let shop = CouponShop::new(engine).await;
    let codes = list("AAA", 1000);
    let part = shop.write("one.txt", lines(&codes[100..400], "\n"));
    let whole = shop.write("two.txt", lines(&codes, "\n"));
    let output = shop.load().output();
    assert!(output.status.success(), "{output:?}");
    let warned = line(&output, "nearly all codes of a file are in another one, too: is it a copy of a part?");
    let expected = [part, whole].map(|path| json!(path.to_str().unwrap()));
    assert_eq!([&warned["file"], &warned["within"]], [&expected[0], &expected[1]]);
    assert_eq!((&warned["level"], &warned["percent"]), (&json!("WARN"), &json!(100)));
    assert_eq!(shop.codes().await.len(), 300);
    fs::remove_file(shop.folder.join("one.txt")).unwrap();
    shop.write("one.txt", lines(&[&codes[..400], &list("BBB", 100)[..]].concat(), "\n"));
    let output = shop.load().output();
    assert!(log(&output).iter().all(|line| line["level"] == "INFO"), "{output:?}");
}
