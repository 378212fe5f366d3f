//! The spans that a collector receives from a load that a signal ends.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use database::Session;
use database_load::DataSet::Products;
use test_database::{
    Collector, Manner, Program, Received, Running, TestEngine, execute, on_both_engines, only,
};

use crate::coupon_harness::CouponShop;
use crate::harness::{PRODUCTS, Shop};
use crate::traces::{is_failed, load};

on_both_engines!(
    half_way_through_publishing,
    while_coupon_files_are_compared,
    while_coupon_files_are_read,
    while_another_run_is_waited_for,
);

const SIGNALS: [(&str, i32); 2] = [("TERM", 143), ("INT", 130)];

/// Sends the signal. The process must end soon, with every span in the collector.
fn stop(process: &mut Running, collector: &Collector, (signal, exit_code): (&str, i32)) -> Vec<Received> {
    let told = Instant::now();
    process.signal(signal);
    assert_eq!(process.wait(Duration::from_secs(10)).code(), Some(exit_code));
    assert!(told.elapsed() < Duration::from_secs(2), "{:?}", told.elapsed());
    let spans = collector.spans();
    let root = only(&spans, "dataload.execute");
    assert_eq!(root.number("process.exit.code"), Some(i64::from(exit_code)));
    is_interrupted(root);
    for span in spans.iter().filter(|span| span.span.name != "dataload.execute") {
        let has_parent = |parent: &Received| span.is_child_of(parent);
        assert!(spans.iter().any(has_parent), "the parent of {} is missing", span.span.name);
    }
    spans
}

fn is_interrupted(span: &Received) {
    let kind = span.attribute("error.type");
    assert_eq!((kind.as_deref(), is_failed(span)), (Some("interrupted"), true), "{}", span.span.name);
}

fn is_well(span: &Received) {
    assert!(!is_failed(span) && span.attribute("error.type").is_none(), "{}", span.span.name);
}

/// A session that keeps the loader from publishing: on PostgreSQL it holds the row that is counted up last.
async fn blocker(shop: &Shop) -> Session {
    let mut blocker = shop.database.session().await;
    let block = match shop.database.url().sqlite_file() {
        None => "begin; update change_counters set menu = menu",
        Some(_) => "begin immediate",
    };
    execute(blocker.connection.as_mut(), block).await;
    blocker
}

/// Waits until the loader waits for the blocker.
async fn is_blocked(shop: &Shop) {
    if shop.database.url().sqlite_file().is_some() {
        // From outside nobody can see that the loader waits for the file's lock. It gets there within milliseconds, and
        // waits for 5 s.
        tokio::time::sleep(Duration::from_millis(800)).await; // ok: see above
        return;
    }
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() \
                   and application_name = 'database-load' and wait_event_type = 'Lock'";
    let deadline = Instant::now() + Duration::from_secs(10);
    while shop.database.number(waiting).await == 0 {
        assert!(Instant::now() < deadline, "the loader never got half-way");
        tokio::time::sleep(Duration::from_millis(20)).await; // ok: asks again until the deadline
    }
}

async fn half_way_through_publishing(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    shop.load_file(Products, PRODUCTS).await;
    let menu = "select name from products where retired_at is null order by id";
    for signal in SIGNALS {
        let collector = Collector::start(Manner::Takes);
        let blocker = blocker(&shop).await;
        shop.write(Products, "id,name,price,category\n5,New,1,New\n");
        let program = load(&shop.database, &collector).env("DATA_DIR", shop.folder.path());
        let mut process = program.start();
        is_blocked(&shop).await;
        let spans = stop(&mut process, &collector, signal);
        for name in ["dataload.loadProducts", "dataload.publish"] {
            is_interrupted(only(&spans, name));
        }
        for name in ["dataload.check", "dataload.recheck", "dataload.parse"] {
            is_well(only(&spans, name));
        }
        assert!(only(&spans, "dataload.publish").is_child_of(only(&spans, "dataload.loadProducts")));
        drop(blocker);
        assert_eq!(shop.database.texts(menu).await, ["Waffle", "Salad"]);
    }
}

/// Waits until the process has the file open.
fn has_open(process: &Running, file: &Path) {
    let descriptors = format!("/proc/{}/fd", process.id());
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let entries = fs::read_dir(&descriptors).expect("it still runs");
        if entries.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|path| path == file)) {
            return;
        }
        assert!(Instant::now() < deadline, "{} was never opened", file.display());
        std::thread::yield_now();
    }
}

async fn while_coupon_files_are_compared(engine: TestEngine) {
    let shop = CouponShop::new(engine).await;
    // The file takes no room on the disk, and half a minute to read.
    let one = shop.folder.join("one.txt");
    File::options().write(true).open(&one).unwrap().set_len(64 << 30).unwrap();
    for signal in SIGNALS {
        let collector = Collector::start(Manner::Takes);
        let mut process = shop.load().env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()).start();
        has_open(&process, &one);
        let spans = stop(&mut process, &collector, signal);
        is_interrupted(only(&spans, "dataload.check"));
        assert_eq!(spans.len(), 2);
    }
}

async fn while_coupon_files_are_read(engine: TestEngine) {
    let shop = CouponShop::new(engine).await;
    shop.write_large(16);
    let before = shop.state().await;
    for (signal, command) in SIGNALS.into_iter().zip([true, false]) {
        let collector = Collector::start(Manner::Takes);
        let program = if command {
            shop.coupons([shop.folder_text(), "--memory-budget", "32MiB"])
        } else {
            shop.load().env("MEMORY_BUDGET", "32MiB")
        };
        let mut process = program.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()).start();
        process.wait_for_line("reading coupon files", Duration::from_secs(30));
        let spans = stop(&mut process, &collector, signal);
        let coupons = only(&spans, "dataload.loadCoupons");
        for span in [coupons, only(&spans, "dataload.parse")] {
            is_interrupted(span);
        }
        let names = ["one.txt", "two.txt"].map(|name| shop.folder.join(name).display().to_string());
        assert_eq!(coupons.attribute("dataload.file"), Some(names.join(",")));
        assert!(coupons.number("dataload.file.size") > Some(1000));
        assert_eq!(shop.state().await, before);
    }
    assert!(shop.litter().is_empty());
}

async fn while_another_run_is_waited_for(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    let blocker = blocker(&shop).await;
    shop.write(Products, PRODUCTS);
    let folder = || Program::new("database-load").env("DATABASE_URL", shop.database.url_text());
    let mut first = folder().env("DATA_DIR", shop.folder.path()).start();
    is_blocked(&shop).await;
    for signal in SIGNALS {
        let collector = Collector::start(Manner::Takes);
        let mut process = load(&shop.database, &collector).env("DATA_DIR", shop.folder.path()).start();
        process.wait_for_line("waiting for another run", Duration::from_secs(10));
        let spans = stop(&mut process, &collector, signal);
        is_well(only(&spans, "dataload.check"));
        assert_eq!(spans.len(), 2);
    }
    drop(blocker);
    assert!(first.wait(Duration::from_secs(10)).success(), "{:?}", first.log);
}
