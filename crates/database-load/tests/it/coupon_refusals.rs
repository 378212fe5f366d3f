//! Damaged coupon files and no room for them: what is said, with which exit code, and that the last good set stays.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use test_database::{Program, TestEngine, on_both_engines};

use crate::coupon_harness::{CouponShop, SAMPLES, gzip, log};

on_both_engines!(
    damaged_files_are_refused,
    files_that_are_no_text_are_refused,
    files_that_are_not_there_are_refused,
    files_that_would_change_everything_by_mistake_are_refused,
    a_folder_that_cannot_be_read_is_refused,
    no_room_is_refused,
    more_than_the_spill_limit_is_refused,
);

/// Runs it; it must fail with this code and these words, and leave everything as it was.
async fn assert_refused(
    shop: &CouponShop,
    what: &str,
    program: Program,
    exit_code: i32,
    message: &str,
    cause: &str,
) {
    let before = shop.state().await;
    let output = program.output();
    assert_eq!(output.status.code(), Some(exit_code), "{what}: {output:?}");
    let lines = log(&output);
    let errors: Vec<_> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
    assert_eq!(errors.len(), 1, "{what}: {errors:?}");
    assert_eq!(errors[0]["message"], message, "{what}: {errors:?}");
    assert!(errors[0]["cause"].as_str().unwrap_or_default().contains(cause), "{what}: {errors:?}");
    assert_eq!(errors[0]["exit_code"], exit_code);
    assert_eq!(shop.codes().await, ["AAAAAAAA 2"], "{what}");
    assert_eq!(shop.state().await, before, "{what}");
    assert!(shop.litter().is_empty(), "{what}");
}

async fn damaged_files_are_refused(engine: TestEngine) {
    let shop = CouponShop::new(engine).await;
    let sample = fs::read(format!("{SAMPLES}/couponbase1.gz")).unwrap();
    let corrupt = |position: usize| {
        let mut corrupt = sample.clone();
        corrupt[position] ^= 0x55;
        corrupt
    };
    let long_line = [&b"BBBBBBBB\n"[..], &b"X".repeat(1024 * 1024 + 1), b"\nCCCCCCCC\n"].concat();
    let (half, all) = (sample.len() / 2, sample.len());
    let about = |byte: usize| format!(", about byte {byte}: cannot be read");
    let too_long = ": the line at byte 9 of the text is longer than 1048576 bytes".to_owned();
    for (what, content, said, cause) in [
        ("truncated", sample[..half].to_vec(), about(half), "the gzip data end early"),
        ("truncated in the trailer", sample[..all - 1].to_vec(), about(all - 1), "the gzip data end early"),
        ("corrupt", corrupt(half), about(all), "the gzip data are corrupt"),
        ("corrupt checksum", corrupt(all - 5), about(all), "the gzip data are corrupt"),
        (
            "followed by text",
            [&sample[..], b"BBBBBBBB\n"].concat(),
            about(all + 9),
            "there is something else",
        ),
        ("long line", long_line.clone(), too_long.clone(), ""),
        ("long line, gzip", gzip(&long_line), too_long, ""),
        ("empty", Vec::new(), " is empty".to_owned(), ""),
        ("empty, gzip", gzip(b""), " is empty".to_owned(), ""),
    ] {
        let path = shop.write("two.txt", content);
        let message = format!("{}{said}", path.display());
        assert_refused(&shop, what, shop.load(), 4, &message, cause).await;
        assert_refused(&shop, what, shop.coupons([shop.folder_text()]), 4, &message, cause).await;
    }
}

async fn files_that_are_no_text_are_refused(engine: TestEngine) {
    let shop = CouponShop::new(engine).await;
    let list: String = (0..30_000).map(|number| format!("AAA{number:06}\n")).collect();
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let mut header = [&b"codes.txt"[..], &[0; 248], b"ustar\x0000", &[0; 247]].concat();
    header.resize(512, 0);
    let tar = [&header[..], list.as_bytes(), &[0; 1024]].concat();
    let nul = "a NUL byte, which no text has; save it as plain text in UTF-8";
    for (what, content, byte, said) in [
        ("tar", tar.clone(), 0, "a tar archive; unpack it and use the text file in it"),
        ("tar.gz", gzip(&tar), 0, "a tar archive; unpack it and use the text file in it"),
        ("gzip twice", gzip(&gzip(list.as_bytes())), 0, "gzip; unpack it first"),
        ("UTF-16", utf16(&format!("\u{feff}{list}")), 0, "UTF-16; save it as UTF-8"),
        ("UTF-16 without a mark", utf16(&list), 0, "UTF-16; save it as UTF-8"),
        ("xz", b"\xfd7zXZ\0\0\x04\n".to_vec(), 0, "compressed by xz; unpack it first"),
        ("NUL at the end", [list.as_bytes(), b"\0"].concat(), 300_000, nul),
        ("NUL within", [b"HAPPYHRS\nHAPPY\0HRS\n", list.as_bytes()].concat(), 14, nul),
    ] {
        let path = shop.write("two.txt", content);
        let message = format!("{}: what stands at byte {byte} of the text is {said}", path.display());
        assert_refused(&shop, what, shop.load(), 4, &message, "").await;
        assert_refused(&shop, what, shop.coupons([shop.folder_text()]), 4, &message, "").await;
        let print = shop.coupons([shop.folder_text(), "--print"]);
        assert_refused(&shop, what, print, 4, &message, "").await;
    }
}

async fn files_that_are_not_there_are_refused(engine: TestEngine) {
    let shop = CouponShop::new(engine).await;
    let nowhere = shop.folder.join("nowhere.gz");
    let message = format!("cannot read {}", nowhere.display());
    let files = [shop.folder_text(), nowhere.to_str().unwrap()];
    assert_refused(&shop, "missing", shop.coupons(files), 4, &message, "No such file or directory").await;
    symlink(&nowhere, &nowhere).unwrap();
    assert_refused(&shop, "a link to itself", shop.coupons(files), 4, &message, "symbolic links").await;
    fs::remove_file(&nowhere).unwrap();
    let empty = shop.folder.join("empty");
    fs::create_dir(&empty).unwrap();
    let message = format!("cannot read {}", empty.display());
    let folders = [shop.folder_text(), empty.to_str().unwrap()];
    assert_refused(&shop, "empty folder", shop.coupons(folders), 4, &message, "has no coupon files in it")
        .await;
}

async fn files_that_would_change_everything_by_mistake_are_refused(engine: TestEngine) {
    let shop = CouponShop::new(engine).await;
    let other = shop.write("two.txt", "Quarterly figures\n1;2;3\n");
    let message = format!("{} holds no coupon code at all", other.display());
    assert_refused(&shop, "another file", shop.load(), 4, &message, "").await;
    fs::remove_file(&other).unwrap();
    symlink("nowhere.gz", &other).unwrap();
    let message = format!("cannot read {}", other.display());
    assert_refused(&shop, "a link to nowhere", shop.load(), 4, &message, "No such file or directory").await;
    fs::remove_file(&other).unwrap();
    let again = shop.coupons([shop.folder_text(), shop.folder_text()]);
    let message = format!("cannot read {}", shop.folder.join("one.txt").display());
    assert_refused(&shop, "twice", again, 4, &message, "is named twice").await;
    let most = shop.coupons([shop.folder_text(), "--min-files", "1000"]);
    assert_refused(&shop, "too few files", most, 4, "no code can stand in 1000 of 1 files", "").await;
    let pipe = shop.folder.join("pipe");
    assert!(std::process::Command::new("/usr/bin/mkfifo").arg(&pipe).status().unwrap().success());
    let from_pipe = shop.coupons([shop.folder_text(), pipe.to_str().unwrap()]);
    assert_refused(
        &shop,
        "a pipe",
        from_pipe,
        4,
        &format!("cannot read {}", pipe.display()),
        "is not a regular file",
    )
    .await;
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Root may read everything: it is started without that right.
fn bound_by_permissions(program: Program) -> Program {
    if !is_root() {
        return program;
    }
    program.started_by("/usr/bin/setpriv", ["--bounding-set", "-dac_override,-dac_read_search"])
}

async fn a_folder_that_cannot_be_read_is_refused(engine: TestEngine) {
    let shop = CouponShop::new(engine).await;
    let file = shop.write("two.txt", "BBBBBBBB\n");
    let forbid = |path: &Path, mode: u32| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    for (path, mode) in [(&file, 0o644), (&shop.folder, 0o755)] {
        forbid(path, 0);
        let message = format!("cannot read {}", path.display());
        for program in [shop.load(), shop.coupons([shop.folder_text()])] {
            let program = bound_by_permissions(program);
            assert_refused(&shop, "forbidden", program, 4, &message, "Permission denied").await;
        }
        forbid(path, mode);
    }
}

async fn no_room_is_refused(engine: TestEngine) {
    let shop = CouponShop::new(engine).await;
    shop.write_large(8);
    let run = || shop.coupons([shop.folder_text(), "--memory-budget", "32MiB"]);
    let spill = shop.spill.path().to_str().unwrap();
    let message = format!("{spill} cannot be used for what does not fit into memory");
    // A file system of its own where that is allowed, else a limit to the size of files, which fails the same way.
    let mounts = "mount -t tmpfs -o size=1m none \"$0\"";
    let namespace = if is_root() { "-m" } else { "-rm" };
    let can_mount =
        std::process::Command::new("unshare").args([namespace, "sh", "-c", mounts, spill]).status();
    let (program, cause) = if can_mount.is_ok_and(|status| status.success()) {
        let script = format!("{mounts} && exec \"$@\"");
        (
            run().started_by("/usr/bin/unshare", [namespace, "/bin/sh", "-c", &script, spill]),
            "No space left on device",
        )
    } else {
        let script = "trap '' XFSZ; ulimit -f 2048; exec \"$@\"";
        (run().started_by("/bin/sh", ["-c", script, spill]), "File too large")
    };
    let program = program.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    assert_refused(&shop, "full", program, 7, &message, cause).await;

    let nowhere = shop.spill.path().join("nowhere");
    let message = format!("{} cannot be used for what does not fit into memory", nowhere.display());
    assert_refused(
        &shop,
        "no folder",
        run().env("TMPDIR", &nowhere),
        7,
        &message,
        "No such file or directory",
    )
    .await;
}

async fn more_than_the_spill_limit_is_refused(engine: TestEngine) {
    let shop = CouponShop::new(engine).await;
    // About 46 MiB, of which some 10 MiB fit into memory.
    shop.write_large(4);
    let run = || shop.coupons([shop.folder_text(), "--memory-budget", "32MiB"]);
    let spill = shop.spill.path().display();
    for (limit, shown) in [
        ("10Mi", "10MiB"),
        ("1M", "1000000 bytes"),
        ("20971520", "20MiB"),
        ("0.5MiB", "512KiB"),
        ("1", "1 byte"),
    ] {
        let message = format!(
            "coupon files need more than {shown} in {spill} for what does not fit into memory; allow more with \
             SPILL_SIZE_LIMIT (--spill-size-limit), or give more memory with MEMORY_BUDGET"
        );
        assert_refused(&shop, limit, run().env("SPILL_SIZE_LIMIT", limit), 7, &message, "").await;
        assert_refused(&shop, limit, run().args(["--spill-size-limit", limit]), 7, &message, "").await;
        let load = shop.load().env("SPILL_SIZE_LIMIT", limit).env("MEMORY_BUDGET", "32MiB");
        assert_refused(&shop, limit, load, 7, &message, "").await;
    }
    for limit in ["1Gi", "500M", "1.5GiB", "4e9"] {
        let output = run().args(["--print"]).env("SPILL_SIZE_LIMIT", limit).output();
        assert!(output.status.success(), "{limit}: {output:?}");
        assert_eq!(output.stdout, b"HAPPYHRS\n");
    }
}
