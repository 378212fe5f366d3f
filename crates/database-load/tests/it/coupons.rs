//! Codes of the coupon files.

use std::fs;

use database_load::{DataSet, LoadError, Outcome, Source};
use test_database::{TestEngine, on_both_engines};

use crate::harness::{Shop, counts};

on_both_engines!(
    the_samples_have_known_answers,
    a_new_set_replaces_the_old_one,
    a_damaged_file_keeps_the_old_set,
    what_a_killed_run_left_is_removed,
);

const CODES: &str = "select code || ' ' || cast(files as text) from coupon_codes order by code";

async fn the_samples_have_known_answers(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    shop.load_from(&Source::CompiledIn { with_demo_data: false }).await.unwrap();
    assert_eq!(
        shop.database.texts(CODES).await,
        [
            "BIRTHDAY 3",
            "BUYGETON 3",
            "FIFTYOFF 3",
            "FREEZAAA 3",
            "GNULINUX 3",
            "HAPPYHRS 2",
            "OVER9000 3",
            "SIXTYOFF 3"
        ]
    );
    assert_eq!(shop.database.number("select coupons from change_counters").await, 1);
    let again = shop.load_from(&Source::CompiledIn { with_demo_data: false }).await.unwrap();
    assert_eq!(again.last().unwrap().outcome, Outcome::Unchanged);
}

fn write(shop: &Shop, files: [&str; 2]) {
    let folder = shop.folder.path().join("coupons");
    fs::create_dir_all(&folder).unwrap();
    for (name, content) in ["one.txt", "two.txt"].iter().zip(files) {
        fs::write(folder.join(name), content).unwrap();
    }
    fs::write(folder.join("README.md"), "ONETIME1\nONETIME1\n").unwrap();
}

async fn a_new_set_replaces_the_old_one(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    write(&shop, ["AAAAAAAA\nBBBBBBBB\nONETIME1\n", "BBBBBBBB\nAAAAAAAA\n"]);
    let summary = *shop.load().await.unwrap().last().unwrap();
    assert_eq!((summary.data_set, summary.counts), (DataSet::Coupons, counts(2, 2, 0, 0, 0, 0)));
    write(&shop, ["AAAAAAAA\nCCCCCCCC\n", "CCCCCCCC\nAAAAAAAA\n"]);
    assert_eq!(shop.load().await.unwrap().last().unwrap().counts, counts(2, 1, 0, 1, 1, 0));
    assert_eq!(shop.database.texts(CODES).await, ["AAAAAAAA 2", "CCCCCCCC 2"]);
    assert_eq!(shop.database.number("select max(generation) from data_loads").await, 2);
}

async fn a_damaged_file_keeps_the_old_set(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    write(&shop, ["AAAAAAAA\n", "AAAAAAAA\n"]);
    shop.load().await.unwrap();
    write(&shop, ["BBBBBBBB\n", ""]);
    let error = shop.load().await.unwrap_err();
    assert!(
        matches!(error, LoadError::Coupons(_)) && error.to_string().ends_with("two.txt is empty"),
        "{error}"
    );
    assert_eq!(shop.database.texts(CODES).await, ["AAAAAAAA 2"]);
}

async fn what_a_killed_run_left_is_removed(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    let hash = match engine {
        TestEngine::Postgres => "decode(repeat('00', 32), 'hex')",
        TestEngine::Sqlite => "zeroblob(32)",
    };
    shop.database
        .execute(&format!(
            "insert into data_loads (data_set, generation, content_hash, row_count, started_at) \
             values ('coupons', 1, {hash}, 0, 0); insert into coupon_codes values (1, 'LITTER00', 2)"
        ))
        .await;
    write(&shop, ["AAAAAAAA\n", "AAAAAAAA\n"]);
    shop.load().await.unwrap();
    assert_eq!(shop.database.texts(CODES).await, ["AAAAAAAA 2"]);
    assert_eq!(
        shop.database.number("select max(generation) from data_loads where published_at is not null").await,
        2
    );
}
