//! Files that would take away all live rows, or most of them.

use std::fs;

use database_load::DataSet::{self, Coupons, Orders, Products, Promotions, Users};
use database_load::{LoadError, Outcome, Source};
use serde_json::json;
use test_database::{Program, TestEngine, on_both_engines};

use crate::coupon_harness::{line, log};
use crate::harness::{PRODUCTS, Shop, counts};

on_both_engines!(
    files_without_rows_are_refused,
    files_without_rows_can_be_allowed,
    files_without_rows_are_fine_where_nothing_is_live,
    no_valid_code_is_refused,
    one_file_without_rows_keeps_all_others_back,
    most_rows_gone_is_warned_about,
);

const USERS: &str = "client,key,scopes\nfront,front-key,admin\nback,back-key,read_orders\n";
const PROMOTIONS: &str = "code,kind,value\nTEN,percentage,10\n";
const FULL: [(DataSet, &str); 3] = [(Products, PRODUCTS), (Users, USERS), (Promotions, PROMOTIONS)];

fn header(data_set: DataSet) -> &'static str {
    let text = FULL.into_iter().find(|(full, _)| *full == data_set).unwrap().1;
    &text[..=text.find('\n').unwrap()]
}

async fn full(engine: TestEngine) -> Shop {
    let shop = Shop::new(engine).await;
    for (data_set, text) in FULL {
        shop.write(data_set, text);
    }
    shop.load().await.unwrap();
    shop
}

const LIVE: &str = "select (select count(*) from products where retired_at is null) * 100 + \
                    (select count(*) from api_keys where retired_at is null) * 10 + \
                    (select count(*) from promotions where retired_at is null)";

async fn files_without_rows_are_refused(engine: TestEngine) {
    let mut shop = full(engine).await;
    for (is_dry_run, is_forced) in [(false, false), (true, false), (false, true)] {
        (shop.options.dry_run, shop.options.force) = (is_dry_run, is_forced);
        for (data_set, what) in
            [(Products, "products: 2"), (Users, "API keys: 2"), (Promotions, "promotions: 1")]
        {
            let header = header(data_set);
            let crlf = header.replace('\n', "\r\n");
            let texts = [
                header.to_owned(),
                header.trim_end().to_owned(),
                format!("{crlf}\r\n"),
                format!("\u{feff}{header}\n\n"),
            ];
            for text in texts {
                let said = shop.refused(data_set, text).await;
                let expected = format!(
                    "{}, line 1: no row follows the header, which would retire everything that is live ({what}); add the rows, or allow it \
                     with --allow-empty (ALLOW_EMPTY=true)",
                    data_set.file_name()
                );
                assert_eq!(said, expected);
            }
            assert_eq!(shop.database.number(LIVE).await, 221);
            shop.write(data_set, FULL.into_iter().find(|(full, _)| *full == data_set).unwrap().1);
        }
    }
    // All faults are reported at once.
    for (data_set, _) in FULL {
        shop.write(data_set, header(data_set));
    }
    let said = shop.load().await.unwrap_err().to_string();
    assert!(FULL.iter().all(|(data_set, _)| said.contains(data_set.file_name())), "{said}");
    let load = Program::new("database-load").env("DATABASE_URL", shop.database.url_text());
    let output = load.env("DATA_DIR", shop.folder.path()).output();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
}

async fn files_without_rows_can_be_allowed(engine: TestEngine) {
    let shop = full(engine).await;
    for (data_set, _) in FULL {
        shop.write(data_set, header(data_set));
    }
    let load = || {
        let load = Program::new("database-load").env("DATABASE_URL", shop.database.url_text());
        load.env("DATA_DIR", shop.folder.path())
    };
    for (value, exit_code) in [("false", 4), ("1", 2), ("", 2)] {
        assert_eq!(load().env("ALLOW_EMPTY", value).output().status.code(), Some(exit_code), "{value}");
    }
    let dry_run = load().args(["--dry-run", "--allow-empty"]).output();
    assert!(dry_run.status.success(), "{dry_run:?}");
    assert_eq!(line(&dry_run, "products")["retired"], 2);
    assert_eq!(shop.database.number(LIVE).await, 221);
    let output = load().args(["--only", "products"]).env("ALLOW_EMPTY", "true").output();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(shop.database.number(LIVE).await, 21);
    let output = load().args(["--allow-empty"]).output();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(shop.database.number(LIVE).await, 0);
    // There are no live rows left to take away.
    assert!(load().args(["--force"]).output().status.success());
}

async fn files_without_rows_are_fine_where_nothing_is_live(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    for (data_set, _) in FULL {
        let loaded = shop.load_file(data_set, header(data_set)).await;
        assert_eq!(loaded, (Outcome::Published, counts(0, 0, 0, 0, 0, 0)));
    }
    // Rows that no load has made are safe, revoked keys open nothing, and orders stay.
    shop.database
        .execute("insert into products (id, name, category, price_cents, source, created_at, updated_at) values (7, 'A', 'B', 1, 'api', 0, 0)")
        .await;
    shop.load_file(Products, &format!("{}\n", header(Products))).await;
    shop.load_file(Products, PRODUCTS).await;
    shop.load_file(Users, USERS).await;
    shop.database.execute("update api_keys set revoked_at = 1").await;
    shop.load_file(Users, header(Users)).await;
    shop.load_file(Users, USERS).await;
    let columns = "order_id,client,created_at,product_id,quantity,unit_price\n";
    let row = "01990a4c-5a00-7000-8000-000000000001,front,2025-09-02T12:00:00Z,1,2,12.99\n";
    shop.load_file(Orders, &format!("{columns}{row}")).await;
    assert_eq!(shop.load_file(Orders, columns).await, (Outcome::Published, counts(0, 0, 0, 0, 0, 0)));
    assert_eq!(shop.database.number("select count(*) from orders").await, 1);
}

fn write_codes(shop: &Shop, codes: [&str; 2]) {
    let folder = shop.folder.path().join("coupons");
    fs::create_dir_all(&folder).unwrap();
    for (name, codes) in ["one.txt", "two.txt"].iter().zip(codes) {
        fs::write(folder.join(name), codes).unwrap();
    }
}

async fn no_valid_code_is_refused(engine: TestEngine) {
    let mut shop = Shop::new(engine).await;
    // Where no code is published, none has to be.
    write_codes(&shop, ["AAAAAAAA\n", "BBBBBBBB\n"]);
    shop.load().await.unwrap();
    write_codes(&shop, ["AAAAAAAA\nBBBBBBBB\n", "BBBBBBBB\nAAAAAAAA\n"]);
    shop.load().await.unwrap();
    let published = "select count(*) from data_loads where published_at is not null";
    let before = shop.database.number(published).await;
    for (one, other) in [
        ("CCCCCCCC\n", "DDDDDDDD\n"),
        ("AAAAAAAA\nBBBBBBBB\n", "AAAAAAAB\n"),
        ("AAAAAAAA\nAAAAAAAA\n", "BBBBBBBB\n"),
    ] {
        write_codes(&shop, [one, other]);
        for is_dry_run in [true, false] {
            shop.options.dry_run = is_dry_run;
            let error = shop.load().await.unwrap_err();
            let expected = "no code stands in at least 2 of the coupon files, which would make every published code \
                            invalid (2); check the files, or allow it with --allow-empty (ALLOW_EMPTY=true)";
            assert_eq!(error.to_string(), expected);
        }
        let files = Source::CouponFiles(vec![shop.folder.path().join("coupons")]);
        assert!(matches!(shop.load_from(&files).await, Err(LoadError::NoValidCodes { .. })));
        assert_eq!(shop.database.number("select count(*) from coupon_codes").await, 2);
        assert_eq!(shop.database.number(published).await, before);
    }
    let print = Program::new("database-load").args(["coupons", "--print"]);
    let output = print.args([shop.folder.path().join("coupons").to_str().unwrap()]).output();
    assert!(
        output.status.success() && output.stdout.is_empty(),
        "to print nothing takes nothing away: {output:?}"
    );
    shop.options.allow_empty = true;
    let summary = *shop.load().await.unwrap().last().unwrap();
    assert_eq!((summary.data_set, summary.counts), (Coupons, counts(0, 0, 0, 2, 0, 0)));
    assert_eq!(shop.database.number("select count(*) from coupon_codes").await, 0);
}

async fn one_file_without_rows_keeps_all_others_back(engine: TestEngine) {
    let shop = full(engine).await;
    write_codes(&shop, ["AAAAAAAA\n", "AAAAAAAA\n"]);
    shop.load().await.unwrap();
    let more = format!("{PRODUCTS}3,Tea,2,Drinks\n");
    let rows = "select count(*) + (select count(*) from data_loads) from products";
    let before = shop.database.number(rows).await;
    shop.write(Products, &more);
    for data_set in [Users, Promotions] {
        shop.refused(data_set, header(data_set)).await;
        shop.write(data_set, FULL.into_iter().find(|(full, _)| *full == data_set).unwrap().1);
    }
    write_codes(&shop, ["CCCCCCCC\n", "DDDDDDDD\n"]);
    assert!(matches!(shop.load().await, Err(LoadError::NoValidCodes { .. })));
    assert_eq!(
        shop.database.number(rows).await,
        before,
        "the menu was loaded though another file was refused"
    );
}

async fn most_rows_gone_is_warned_about(engine: TestEngine) {
    const WARNING: &str = "more than half of what was loaded before is retired: is the file complete?";
    let shop = Shop::new(engine).await;
    let load = |arguments: &[&'static str]| {
        let load = Program::new("database-load").args(arguments.iter().copied());
        let output =
            load.env("DATABASE_URL", shop.database.url_text()).env("DATA_DIR", shop.folder.path()).output();
        assert!(output.status.success(), "{output:?}");
        output
    };
    let users = |rows: std::ops::Range<u32>| {
        let rows = rows.map(|number| format!("client {number},key-{number},admin\n"));
        format!("client,key,scopes\n{}", rows.collect::<String>())
    };
    let products = |rows: std::ops::Range<u32>| {
        let rows = rows.map(|number| format!("{},Dish {number},1,Dishes\n", number + 1));
        format!("id,name,price,category\n{}", rows.collect::<String>())
    };
    let codes =
        |rows: std::ops::Range<u32>| rows.map(|number| format!("AAAA{number:04}\n")).collect::<String>();
    // Of 30, 15 are half and 16 more than half; of 12, 10 are few and 11 are not.
    for (before, after, is_warned) in [(30, 15, false), (30, 14, true), (12, 2, false), (12, 1, true)] {
        shop.write(Users, users(0..before));
        shop.write(Products, products(0..before));
        write_codes(&shop, [&codes(0..before), &format!("{}ZZZZZZZZ", codes(0..before))]);
        load(&[]);
        shop.write(Users, users(0..after));
        shop.write(Products, products(0..after));
        write_codes(&shop, [&codes(0..after), &format!("{}ZZZZZZZZ", codes(0..after))]);
        for arguments in [&["--dry-run"][..], &[]] {
            let warned: Vec<_> =
                log(&load(arguments)).into_iter().filter(|line| line["message"] == WARNING).collect();
            assert_eq!(
                warned.len(),
                if is_warned { 3 } else { 0 },
                "{before} {after} {arguments:?}: {warned:?}"
            );
            for line in warned {
                let expected = (json!("WARN"), json!(before - after), json!(before));
                assert_eq!(
                    (&line["level"], &line["retired"], &line["live_before"]),
                    (&expected.0, &expected.1, &expected.2)
                );
            }
        }
    }
}
