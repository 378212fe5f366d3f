//! Settings of a PostgreSQL server that others have made: they void no promise, or the API says so.

use std::time::Duration;

use database::Session;
use futures_util::future::join_all;
use serde_json::json;
use test_database::{TestDatabase, TestEngine};

use crate::harness::{KEY, TestServer, cart, cart_with_code, eventually, load_sample_data};

/// A database with these defaults for its sessions.
async fn database_with(settings: &[&str]) -> TestDatabase {
    let database = TestDatabase::migrated(TestEngine::Postgres).await;
    load_sample_data(&database).await;
    let name = database.texts("select current_database()::text").await.remove(0);
    for setting in settings {
        database.execute(&format!("alter database {name} set {setting}")).await;
    }
    database
}

async fn in_a_session(database: &TestDatabase, setting: &str) -> String {
    database.texts(&format!("select current_setting('{setting}')")).await.remove(0)
}

#[tokio::test]
async fn sessions_bring_the_settings_that_they_rely_on() {
    for (set, setting, wanted) in [
        ("synchronous_commit = off", "synchronous_commit", "on"),
        // All else is the operator's choice.
        ("synchronous_commit = local", "synchronous_commit", "local"),
        ("synchronous_commit = remote_write", "synchronous_commit", "remote_write"),
        ("synchronous_commit = remote_apply", "synchronous_commit", "remote_apply"),
        ("default_transaction_isolation = 'serializable'", "transaction_isolation", "read committed"),
        ("default_transaction_isolation = 'repeatable read'", "transaction_isolation", "read committed"),
        ("client_min_messages = error", "client_min_messages", "warning"),
        ("idle_session_timeout = '1s'", "idle_session_timeout", "0"),
    ] {
        let database = database_with(&[set]).await;
        assert_eq!(in_a_session(&database, setting).await, wanted, "{set}");
    }
}

async fn orders_never_fail(set: &str) {
    let database = database_with(&[set]).await;
    database
        .execute(
            "insert into promotions (code, kind, value, min_items, min_subtotal_cents, max_uses, active, source, created_at, updated_at) \
             values ('RACED', 'percentage', 1000, 0, 0, 60, true, 'api', 0, 0); \
             update change_counters set promotions = promotions + 1",
        )
        .await;
    let server = TestServer::start_on(database, &[]).await;
    eventually("orders are taken", async || {
        server.order_text(KEY, cart_with_code(&[("1", 1)], "RACED")).await.status == 200
    })
    .await;
    let orders = (0..120).map(|_| server.order_text(KEY, cart_with_code(&[("1", 1)], "RACED")));
    let statuses: Vec<_> = join_all(orders).await.iter().map(|answer| answer.status.as_u16()).collect();
    assert!(statuses.iter().all(|status| matches!(status, 200 | 422)), "{set}: {statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 59, "{set}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_of_a_limited_promotion_never_fail_for_the_isolation_level() {
    for level in ["serializable", "repeatable read"] {
        orders_never_fail(&format!("default_transaction_isolation = '{level}'")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_database_is_named() {
    let database = database_with(&["default_transaction_read_only = on"]).await;
    let server = TestServer::start_on(database, &[]).await;
    eventually("it is seen", async || server.get("/readyz").await.json()["database"] == "read-only").await;
    eventually("it has its data", async || server.get("/readyz").await.status == 200).await;
    assert_eq!(server.get("/health").await.json()["database"]["status"], "read-only");
    assert_eq!(server.get("/api/product").await.status, 200);
    let refused = server.order_text(KEY, cart(&[("1", 1)])).await.assert_error(503, "database_unavailable");
    assert!(refused["message"].as_str().unwrap().contains("read-only"), "{refused}");
    let metrics = server.get("/metrics").await.text;
    assert!(metrics.contains("database_state{state=\"read_only\"} 1"), "{metrics}");
    assert!(metrics.contains("database_state{state=\"up\"} 0"), "{metrics}");

    let jobs = Session::open(&server.database.url(), "test", Duration::from_secs(1)).await;
    let error = jobs.unwrap_err().to_string();
    assert!(error.contains("default_transaction_read_only is on"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_lose_orders_in_a_crash_is_named() {
    let database = database_with(&[]).await;
    database.execute("alter table idempotency_keys set unlogged; alter table orders set unlogged").await;
    let mut expected = vec![];
    for setting in ["fsync", "full_page_writes"] {
        if in_a_session(&database, setting).await == "off" {
            expected.push(format!("{setting}=off"));
        }
    }
    expected.push("unlogged table idempotency_keys orders".to_owned());
    let server = TestServer::start_on(database, &[]).await;
    eventually("it has its data", async || server.get("/readyz").await.status == 200).await;
    assert_eq!(server.get("/health").await.json()["database"]["warnings"], json!(expected));
    server.database.execute("alter table idempotency_keys set logged; alter table orders set logged").await;
    expected.pop();
    eventually("the warning is taken back", async || {
        server.get("/health").await.json()["database"]["warnings"] == json!(expected)
    })
    .await;
}
