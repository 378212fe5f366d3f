//! A load of coupon files that is stopped half-way.

use std::time::{Duration, Instant};

use test_database::{TestEngine, execute, on_both_engines};

use crate::coupon_harness::CouponShop;

on_both_engines!(
    killed_while_reading_the_old_set_stays_and_the_next_run_completes,
    sigterm_ends_reading_within_a_second,
);

async fn killed_while_reading_the_old_set_stays_and_the_next_run_completes(engine: TestEngine) {
    let shop = CouponShop::new(engine).await;
    shop.write_large(8);
    let before = shop.state().await;
    let mut process = shop.stopped_half_way();
    assert!(shop.litter().is_empty(), "what does not fit into memory has a name");
    process.signal("KILL");
    process.wait(Duration::from_secs(5));
    assert!(shop.litter().is_empty());
    assert_eq!(shop.state().await, before);
    let next = shop.coupons([shop.folder_text(), "--memory-budget", "32MiB"]).output();
    assert!(next.status.success(), "{next:?}");
    assert_eq!(shop.codes().await, ["HAPPYHRS 2"]);
    assert!(shop.litter().is_empty());
}

async fn sigterm_ends_reading_within_a_second(engine: TestEngine) {
    let shop = CouponShop::new(engine).await;
    shop.write_large(8);
    let before = shop.state().await;
    let mut process = shop.stopped_half_way();
    process.signal("TERM");
    let told = Instant::now();
    process.signal("CONT");
    assert_eq!(process.wait(Duration::from_secs(5)).code(), Some(143));
    assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
    assert_eq!(shop.state().await, before);
    assert!(shop.litter().is_empty());
}

/// Another session holds the row that publishing counts up last: the rows of the new set are written, and not published.
#[tokio::test]
async fn killed_while_publishing_the_old_set_stays_and_the_next_run_completes() {
    let shop = CouponShop::new(TestEngine::Postgres).await;
    let mut blocker = shop.shop.database.session().await;
    execute(blocker.connection.as_mut(), "begin; update change_counters set coupons = coupons").await;
    shop.write("one.txt", "BBBBBBBB\nCCCCCCCC\n");
    shop.write("two.txt", "BBBBBBBB\nCCCCCCCC\n");
    for (signal, code) in [("TERM", Some(143)), ("KILL", None)] {
        let mut process = shop.load().start();
        let waiting = "select count(*) from pg_stat_activity where datname = current_database() \
                       and application_name = 'database-load' and wait_event_type = 'Lock'";
        let deadline = Instant::now() + Duration::from_secs(10);
        while shop.shop.database.number(waiting).await == 0 {
            assert!(Instant::now() < deadline, "the loader never got half-way");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let told = Instant::now();
        process.signal(signal);
        assert_eq!(process.wait(Duration::from_secs(5)).code(), code);
        assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
        assert_eq!(shop.codes().await, ["AAAAAAAA 2"], "{signal}");
        assert!(shop.shop.database.number("select count(*) from coupon_codes").await > 1, "it had written");
    }
    drop(blocker);
    let next = shop.load().output();
    assert!(next.status.success(), "{next:?}");
    assert_eq!(shop.codes().await, ["BBBBBBBB 2", "CCCCCCCC 2"]);
    assert_eq!(shop.shop.database.number("select count(*) from coupon_codes").await, 2, "no litter");
}
