//! API keys, on the routes that ask for one.

use domain::Pepper;
use reqwest::Method;
use test_database::{TestDatabase, TestEngine, on_both_engines};

use crate::harness::{ADMIN_KEY, KEY, READER_KEY, TestServer, cart, insert_key, load_sample_data};

on_both_engines!(
    a_key_in_either_header,
    unknown_expired_and_revoked_keys,
    scopes_are_asked_for,
    another_pepper_makes_unready,
    the_last_use_is_written_down,
);

const PATHS: [&str; 2] = ["/api/order", "/api/order/01990a4c-5a00-7000-8000-000000000001"];

async fn a_key_in_either_header(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    for path in PATHS {
        let get = || server.request(Method::GET, path);
        let missing = server.send(get()).await;
        missing.assert_error(401, "missing_api_key");
        assert_eq!(missing.header("www-authenticate"), "ApiKey");
        server.send(get().header("api_key", "")).await.assert_error(401, "missing_api_key");
        assert_eq!(server.send(get().header("api_key", KEY)).await.status, 200);
        assert_eq!(server.send(get().header("X-API-Key", KEY)).await.status, 200);
        assert_eq!(server.send(get().header("api_key", KEY).header("X-API-Key", KEY)).await.status, 200);
        let two = get().header("api_key", KEY).header("X-API-Key", ADMIN_KEY);
        server.send(two).await.assert_error(400, "bad_request");
        server
            .send(get().header("api_key", KEY).header("api_key", "x"))
            .await
            .assert_error(400, "bad_request");
    }
}

async fn unknown_expired_and_revoked_keys(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let pepper = Pepper::new(b"");
    insert_key(&server.database, "expired", &pepper, "expired-key", "admin", "1").await;
    insert_key(&server.database, "lasting", &pepper, "lasting-key", "admin", "9000000000000000").await;
    server.database.execute("update api_keys set revoked_at = 1 where scopes = 'read_orders'").await;
    server.database.execute("update change_counters set api_keys = api_keys + 1").await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(2);
    while server.get_with_key("/api/order", "lasting-key").await.status != 200
        || server.get_with_key("/api/order", READER_KEY).await.status != 403
    {
        assert!(std::time::Instant::now() < deadline, "the change never arrived");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let long = "k".repeat(5000);
    for key in ["nobody", "APITEST", "apites", "expired-key", READER_KEY, &long] {
        for path in PATHS {
            server.get_with_key(path, key).await.assert_error(403, "invalid_api_key");
        }
        server.order_text(key, cart(&[("1", 1)])).await.assert_error(403, "invalid_api_key");
    }
    let binary = server.request(Method::GET, "/api/order").header("api_key", &b"caf\xe9"[..]);
    server.send(binary).await.assert_error(403, "invalid_api_key");
}

async fn scopes_are_asked_for(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let pepper = Pepper::new(b"");
    insert_key(&server.database, "nothing", &pepper, "no-scope-key", "", "null").await;
    insert_key(&server.database, "writer", &pepper, "writer-key", "create_order manage_menu", "null").await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(2);
    while server.order_text("writer-key", cart(&[("1", 1)])).await.status != 200 {
        assert!(std::time::Instant::now() < deadline, "the change never arrived");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    server.order_text(READER_KEY, cart(&[("1", 1)])).await.assert_error(403, "insufficient_scope");
    server.order_text("no-scope-key", cart(&[("1", 1)])).await.assert_error(403, "insufficient_scope");
    for path in PATHS {
        server.get_with_key(path, "no-scope-key").await.assert_error(403, "insufficient_scope");
        server.get_with_key(path, "writer-key").await.assert_error(403, "insufficient_scope");
    }
    assert_eq!(server.order_text(ADMIN_KEY, cart(&[("1", 1)])).await.status, 200, "admin may do everything");
}

async fn another_pepper_makes_unready(engine: TestEngine) {
    let database = TestDatabase::migrated(engine).await;
    load_sample_data(&database).await;
    let server = TestServer::start_on(database, &["--api-key-pepper", "another"]).await;
    let answer = server.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert!(answer.text.contains("API_KEY_PEPPER"), "{}", answer.text);
    server.get_with_key("/api/order", KEY).await.assert_error(403, "invalid_api_key");
}

/// In memory at once, in the database when housekeeping comes by; it does so at the start as well.
async fn the_last_use_is_written_down(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    server.get_with_key("/api/order", "wrong").await;
    assert!(
        server.state.catalogue.api_keys.accepts(KEY, domain::Scope::CreateOrder),
        "which is no use of it"
    );
    server.state.catalogue.api_keys.record_uses().await.unwrap();
    let used = "select count(*) from api_keys where last_used_at is not null";
    assert_eq!(server.database.number(used).await, 0);
    let mut before = 0;
    for _ in 0..2 {
        server.get_with_key("/api/order", KEY).await;
        server.state.catalogue.api_keys.record_uses().await.unwrap();
        let noted = "select coalesce(max(last_used_at), 0) from api_keys";
        crate::harness::eventually("the use is noted", async || server.database.number(noted).await > before)
            .await;
        before = server.database.number(noted).await;
    }
    assert_eq!(server.database.number(used).await, 1);
}
