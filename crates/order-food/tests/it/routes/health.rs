//! `/livez`, `/readyz`, `/healthcheck`, `/health`, `/`

use serde_json::json;
use test_database::{TestDatabase, TestEngine, on_both_engines};

use crate::harness::{TestServer, cart};

on_both_engines!(a_ready_server_says_so, the_welcome_has_links);

async fn a_ready_server_says_so(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    assert_eq!(server.get("/livez").await.json(), json!({"status": "ok"}));
    let ready = json!({"status": "ready", "database": "up", "missing": []});
    assert_eq!(server.get("/readyz").await.json(), ready);
    assert_eq!(server.get("/healthcheck").await.json(), ready);
    let health = server.get("/health").await;
    assert_eq!(health.status, 200);
    assert_eq!(health.json()["menu"], json!({"loaded": true, "products": 10}));
    assert_eq!(health.json()["database"]["schema"], "up to date");
}

async fn the_welcome_has_links(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let welcome = server.get("/").await;
    assert_eq!(welcome.status, 200);
    for path in welcome.json()["links"].as_object().unwrap().values() {
        assert_ne!(server.get(path.as_str().unwrap()).await.status, 404, "{path}");
    }
}

/// On PostgreSQL the API never migrates: it says which migration is missing, and takes up work once it is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unmigrated_postgres_is_waited_for() {
    let database = TestDatabase::empty(TestEngine::Postgres).await;
    let server = TestServer::start_on(database, &[]).await;
    let unready = server.get("/readyz").await;
    assert_eq!(unready.status, 503);
    let missing = unready.json()["missing"].clone();
    assert_eq!(missing[0], "migration V1__create_tables is missing: run database-migration");
    assert_eq!(missing[1], "migration V2__create_indexes is missing: run database-migration");
    assert_eq!(server.get("/livez").await.status, 200);
    assert_eq!(server.get("/health").await.status, 503);
    server.get("/api/product").await.assert_error(503, "overloaded");
    let refused = server.order_text("apitest", cart(&[("1", 1)])).await;
    refused.assert_error(503, "overloaded");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(
        server.database.number("select count(*) from pg_tables where schemaname = 'public'").await,
        0,
        "the API made tables"
    );

    let mut session = server.database.session().await;
    let migrator = database_migration::Migrator { lock_wait: std::time::Duration::from_secs(5) };
    migrator.up(&server.database.url(), &mut session.connection).await.unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(2);
    while server.get("/readyz").await.status != 200 {
        assert!(std::time::Instant::now() < deadline, "{}", server.get("/readyz").await.text);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(server.get("/api/product").await.text, "[]", "an empty menu is a menu");
}

/// A database that was never reached is no overload.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_never_reached_is_named() {
    let database = TestDatabase::empty(TestEngine::Postgres).await;
    let name = database.texts("select current_database()::text").await.remove(0);
    let admin = TestDatabase::empty(TestEngine::Postgres).await;
    admin.execute(&format!("alter database {name} allow_connections false")).await;
    let server = TestServer::start_on(database, &[]).await;
    let missing = server.get("/readyz").await;
    assert_eq!((missing.status.as_u16(), missing.json()["database"].clone()), (503, json!("down")));
    for path in ["/api/product", "/api/product/1"] {
        let refused = server.get(path).await;
        refused.assert_error(503, "database_unavailable");
        assert_eq!(refused.header("retry-after"), "1");
    }
    server.order_text("apitest", cart(&[("1", 1)])).await.assert_error(503, "database_unavailable");
    server.get_with_key("/api/order", "apitest").await.assert_error(503, "database_unavailable");
    admin.execute(&format!("alter database {name} allow_connections true")).await;
}

/// With the database away the menu is still served, `/readyz` stays 200 and orders are refused at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_database_takes_only_orders_away() {
    let server = TestServer::start(TestEngine::Postgres).await;
    // Nobody gets in any more, and who is in is thrown out.
    let name = server.database.texts("select current_database()::text").await.remove(0);
    let admin = TestDatabase::empty(TestEngine::Postgres).await;
    admin.execute(&format!("alter database {name} allow_connections false")).await;
    let ends =
        format!("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '{name}'");
    admin.number(&ends).await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while server.get("/readyz").await.json()["database"] != "down" {
        assert!(std::time::Instant::now() < deadline, "the loss was never noticed");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(server.get("/readyz").await.status, 200);
    assert_eq!(server.get("/api/product").await.status, 200);
    let asked = std::time::Instant::now();
    let refused = server.order_text("apitest", cart(&[("1", 1)])).await;
    refused.assert_error(503, "database_unavailable");
    assert_eq!(refused.header("retry-after"), "1");
    assert!(asked.elapsed() < std::time::Duration::from_millis(400), "{:?}", asked.elapsed());
    admin.execute(&format!("alter database {name} allow_connections true")).await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(2);
    while server.order_text("apitest", cart(&[("1", 1)])).await.status != 200 {
        assert!(std::time::Instant::now() < deadline, "orders never came back");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
