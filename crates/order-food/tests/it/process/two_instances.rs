//! Several processes on one database.

use std::time::{Duration, Instant};

use test_database::{Program, TestDatabase, TestEngine};

use super::Api;
use crate::harness::load_sample_data;

#[tokio::test]
async fn both_see_a_new_menu_within_a_second() {
    let database = TestDatabase::migrated(TestEngine::Postgres).await;
    load_sample_data(&database).await;
    let apis = [Api::start(database.url_text(), &[]), Api::start(database.url_text(), &[])];
    let data = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let products = format!("id,name,price,category\n1,Round {round},1,Own\n");
        std::fs::write(data.path().join("products.csv"), products).unwrap();
        let load = Program::new("database-load").env("DATABASE_URL", database.url_text());
        assert!(load.env("DATA_DIR", data.path()).output().status.success());
        let loaded = Instant::now();
        for api in &apis {
            while !api.text("/api/product").await.contains(&format!("Round {round}")) {
                assert!(loaded.elapsed() < Duration::from_secs(1), "a menu change took longer than a second");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    let order = apis[0].client.get(apis[0].url("/api/order?limit=100")).header("api_key", "apitest");
    assert_eq!(order.send().await.unwrap().json::<Vec<serde_json::Value>>().await.unwrap().len(), 3);
}

/// The order in which a pod runs the programs.
#[tokio::test]
async fn migration_then_load_then_api() {
    let database = TestDatabase::empty(TestEngine::Postgres).await;
    let api = Api::start(database.url_text(), &[]);
    assert!(api.text("/readyz").await.contains("V1__create_tables is missing"));
    for program in ["database-migration", "database-load"] {
        let output = Program::new(program).env("DATABASE_URL", database.url_text()).output();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let loaded = Instant::now();
    while !api.text("/readyz").await.contains("\"ready\"") || !api.text("/api/order").await.starts_with('[') {
        assert!(loaded.elapsed() < Duration::from_secs(2), "{}", api.text("/readyz").await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let order = api.order().await;
    assert_eq!(order["total"], 35.97);
}
