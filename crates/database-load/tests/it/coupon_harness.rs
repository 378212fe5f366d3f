//! Coupon files, and `database-load` as a process that reads them.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Output;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tempfile::TempDir;
use test_database::{Program, Running, TestEngine};

use crate::harness::Shop;

/// The samples that are compiled in, as files.
pub const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../seed/coupons");

pub fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A database with a set of coupon codes published, a folder of files, and one for what does not fit into memory.
pub struct CouponShop {
    pub shop: Shop,
    /// The data directory's folder of coupon files.
    pub folder: PathBuf,
    pub spill: TempDir,
}

impl CouponShop {
    /// `AAAAAAAA` is published.
    pub async fn new(engine: TestEngine) -> Self {
        let shop = Shop::new(engine).await;
        let folder = shop.folder.path().join("coupons");
        fs::create_dir(&folder).unwrap();
        let own = Self { shop, folder, spill: tempfile::tempdir().unwrap() };
        own.write("one.txt", "AAAAAAAA\nONLYONE1\n");
        own.write("two.txt", "AAAAAAAA\nONLYTWO2\n");
        let output = own.load().output();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(own.codes().await, ["AAAAAAAA 2"]);
        own
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Two files of this many million lines, which are one code. They are small on disk and so quickly hashed, but too
    /// much for the memory they are read with.
    pub fn write_large(&self, million_lines: usize) {
        let member = gzip(&b"HAPPYHRS\n".repeat(100_000));
        for name in ["one.txt", "two.txt"] {
            self.write(name, member.repeat(million_lines * 10));
        }
    }

    fn program(&self) -> Program {
        let database = Program::new("database-load").env("DATABASE_URL", self.shop.database.url_text());
        database.env("TMPDIR", self.spill.path())
    }

    /// The ordinary load of the folder.
    pub fn load(&self) -> Program {
        self.program().env("DATA_DIR", self.shop.folder.path())
    }

    /// `database-load coupons` with these arguments.
    pub fn coupons<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Program {
        self.program().args(["coupons"]).args(arguments)
    }

    /// The folder, as an argument.
    pub fn folder_text(&self) -> &str {
        self.folder.to_str().unwrap()
    }

    /// The published codes and their numbers of files.
    pub async fn codes(&self) -> Vec<String> {
        let codes = "select code || ' ' || cast(files as text) from coupon_codes where generation = \
                     (select max(generation) from data_loads where data_set = 'coupons' and published_at is not null) \
                     order by code";
        self.shop.database.texts(codes).await
    }

    /// Everything that a load of coupon codes writes.
    pub async fn state(&self) -> Vec<String> {
        let rows = "select cast(generation as text) || code || cast(files as text) from coupon_codes \
                    union all select data_set || cast(generation as text) || cast(row_count as text) || \
                    cast(started_at as text) || cast(coalesce(published_at, 0) as text) from data_loads \
                    union all select cast(coupons as text) from change_counters order by 1";
        self.shop.database.texts(rows).await
    }

    pub async fn generation(&self) -> i64 {
        self.shop
            .database
            .number("select max(generation) from data_loads where published_at is not null")
            .await
    }

    /// What has a name in the folder for what does not fit into memory.
    pub fn litter(&self) -> Vec<PathBuf> {
        fs::read_dir(self.spill.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// Starts a load of files that do not fit into memory, and returns when some of them is in the spill folder; then
    /// the process stands still.
    pub fn stopped_half_way(&self) -> Running {
        let mut process = self.coupons([self.folder_text(), "--memory-budget", "32MiB"]).start();
        process.wait_for_line("reading coupon files", Duration::from_secs(30));
        let descriptors = format!("/proc/{}/fd", process.id());
        let is_spill = |path: PathBuf| path.starts_with(self.spill.path());
        let deadline = Instant::now() + Duration::from_secs(30);
        let has_spilled = || {
            let entries = fs::read_dir(&descriptors).expect("it still runs");
            entries.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(is_spill))
        };
        while !has_spilled() {
            assert!(Instant::now() < deadline, "nothing was spilled");
            std::thread::yield_now();
        }
        process.signal("STOP");
        assert!(has_spilled(), "it was over before it stood still");
        process
    }
}

/// The lines of a log.
pub fn log(output: &Output) -> Vec<Value> {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let lines = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    lines.filter(|line: &Value| line["level"].is_string()).collect()
}

/// The line of a log that has this text.
pub fn line(output: &Output, message: &str) -> Value {
    let found = log(output).into_iter().find(|line| line["message"] == message);
    found.unwrap_or_else(|| panic!("no line {message:?}: {output:?}"))
}
