//! `database-load` as a process.

use std::time::{Duration, Instant};

use database_load::DataSet::Products;
use test_database::{Program, TestDatabase, TestEngine, execute, on_both_engines};

use crate::harness::{PRODUCTS, Shop};

on_both_engines!(two_at_once_publish_once, the_summary_is_json_on_demand, only_what_was_asked_for_is_loaded);

fn load(database: &TestDatabase) -> Program {
    Program::new("database-load").env("DATABASE_URL", database.url_text())
}

async fn two_at_once_publish_once(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    let mut processes: Vec<_> = (0..4).map(|_| load(&shop.database).start()).collect();
    for process in &mut processes {
        let status = process.wait(Duration::from_secs(30));
        assert!(status.success(), "{status:?} {:#?}", process.log);
    }
    assert_eq!(shop.database.number("select count(*) from data_loads").await, 5, "one for each data set");
    assert_eq!(shop.database.number("select count(*) from products").await, 10);
}

async fn the_summary_is_json_on_demand(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    let output = load(&shop.database).args(["--json"]).output();
    let summary: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("stdout is JSON and nothing else");
    assert_eq!(summary[0]["data_set"], "products");
    assert_eq!(summary[0]["outcome"], "published");
    assert_eq!(summary[0]["added"], 10);
    assert_eq!(summary[3]["data_set"], "orders");
}

async fn only_what_was_asked_for_is_loaded(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    let output = load(&shop.database).args(["--only", "promotions,products"]).output();
    assert!(output.status.success());
    assert_eq!(shop.database.number("select count(*) from data_loads").await, 2);
    let refused = load(&shop.database).args(["--only", "menu"]).output();
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.starts_with("database-load: --only: \"menu\" must be one of products, "), "{said}");
    let missing =
        load(&shop.database).args(["--only", "orders"]).env("DATA_DIR", shop.folder.path()).output();
    assert_eq!(missing.status.code(), Some(4), "a folder without the file that was asked for");
    let nowhere = load(&shop.database).env("DATA_DIR", "/nowhere").output();
    assert_eq!(nowhere.status.code(), Some(4));
}

#[tokio::test]
async fn a_bad_file_exits_4_and_a_missing_schema_5() {
    let shop = Shop::new(TestEngine::Sqlite).await;
    shop.write(Products, "id,name,price,category\n1,Tea,free,Drinks\n");
    let refused = load(&shop.database).env("DATA_DIR", shop.folder.path()).output();
    assert_eq!(refused.status.code(), Some(4));
    assert!(
        String::from_utf8_lossy(&refused.stdout)
            .contains("products.csv, line 2, column price: is not an amount")
    );
    let empty = TestDatabase::empty(TestEngine::Postgres).await;
    assert_eq!(load(&empty).output().status.code(), Some(5));
}

/// A loader that waits half-way through publishing: another session holds the row that it has to count up last.
async fn blocked_half_way(shop: &Shop) -> (database::Session, test_database::Running) {
    shop.load_file(Products, PRODUCTS).await;
    let mut blocker = shop.database.session().await;
    execute(blocker.connection.as_mut(), "begin; update change_counters set menu = menu").await;
    shop.write(Products, "id,name,price,category\n5,New,1,New\n");
    let process = load(&shop.database).env("DATA_DIR", shop.folder.path()).start();
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() \
                   and application_name = 'database-load' and wait_event_type = 'Lock'";
    let deadline = Instant::now() + Duration::from_secs(10);
    while shop.database.number(waiting).await == 0 {
        assert!(Instant::now() < deadline, "the loader never got half-way");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (blocker, process)
}

const MENU: &str = "select name from products where retired_at is null order by id";

#[tokio::test]
async fn killed_half_way_the_old_menu_stays_and_the_next_run_completes() {
    let shop = Shop::new(TestEngine::Postgres).await;
    let (blocker, mut process) = blocked_half_way(&shop).await;
    process.signal("KILL");
    process.wait(Duration::from_secs(5));
    assert_eq!(shop.database.texts(MENU).await, ["Waffle", "Salad"]);
    drop(blocker);
    let next = load(&shop.database).env("DATA_DIR", shop.folder.path()).output();
    assert!(next.status.success(), "{}", String::from_utf8_lossy(&next.stdout));
    assert_eq!(shop.database.texts(MENU).await, ["New"]);
}

#[tokio::test]
async fn sigterm_rolls_back_and_ends_within_a_second() {
    let shop = Shop::new(TestEngine::Postgres).await;
    let (_blocker, mut process) = blocked_half_way(&shop).await;
    let told = Instant::now();
    process.signal("TERM");
    assert_eq!(process.wait(Duration::from_secs(5)).code(), Some(143));
    assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
    assert_eq!(shop.database.texts(MENU).await, ["Waffle", "Salad"]);
}
