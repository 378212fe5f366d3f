//! `Idempotency-Key` on `POST /api/order`

use std::sync::Arc;

use database::Pools;
use domain::SystemClock;
use order_food::task::Housekeeping;
use reqwest::Method;
use serde_json::json;
use storage::Database;
use telemetry::metrics::Registry;
use test_database::{TestEngine, on_both_engines};

use crate::harness::{ADMIN_KEY, Answer, KEY, OTHER_KEY, TestServer, cart, eventually};

on_both_engines!(
    the_same_key_and_request_give_the_same_bytes,
    the_same_key_with_another_request_is_refused,
    a_refusal_leaves_the_key_unused,
    a_key_belongs_to_its_client,
    what_is_no_key,
    a_replay_outlives_the_menu_and_the_promotion,
    many_at_once_are_one_order,
    keys_are_forgotten_after_a_day,
);

async fn order(server: &TestServer, api_key: &str, key: &str, body: String) -> Answer {
    let request = server.request(Method::POST, "/api/order").header("api_key", api_key);
    server
        .send(request.header("content-type", "application/json").header("idempotency-key", key).body(body))
        .await
}

const ORDERS: &str = "select count(*) from orders";

async fn the_same_key_and_request_give_the_same_bytes(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let before = server.database.number(ORDERS).await;
    let first = order(&server, KEY, "one", cart(&[("1", 2), ("3", 1)])).await;
    assert_eq!((first.status.as_u16(), first.header("idempotent-replayed")), (200, ""));
    // Written another way, the same request.
    let respelled = r#"{ "note": 1, "couponCode": null, "items": [{"quantity": 2.0, "productId": "\u0031"}, {"productId": "3", "quantity": 1}] }"#;
    for body in [cart(&[("1", 2), ("3", 1)]), respelled.to_owned()] {
        let again = order(&server, KEY, "one", body).await;
        assert_eq!(again.status, 200);
        assert_eq!(again.text, first.text);
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert_eq!(again.header("content-type"), "application/json");
    }
    let other = order(&server, KEY, "two", cart(&[("1", 2), ("3", 1)])).await;
    assert_ne!(other.json()["id"], first.json()["id"]);
    assert_eq!(server.database.number(ORDERS).await, before + 2);
    server.database.execute("update orders set status = 'ready', version = 2").await;
    assert_eq!(order(&server, KEY, "one", cart(&[("1", 2), ("3", 1)])).await.text, first.text);
}

async fn the_same_key_with_another_request_is_refused(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    order(&server, KEY, "one", cart(&[("1", 2), ("3", 1)])).await;
    for body in
        [cart(&[("1", 2)]), cart(&[("3", 1), ("1", 2)]), cart(&[("1", 2), ("3", 2)]), cart(&[("99", 1)])]
    {
        order(&server, KEY, "one", body).await.assert_error(422, "idempotency_key_reused");
    }
    let with_code = json!({"items": [{"productId": "1", "quantity": 2}, {"productId": "3", "quantity": 1}], "couponCode": "SAVE10"});
    order(&server, KEY, "one", with_code.to_string()).await.assert_error(422, "idempotency_key_reused");
    assert_eq!(server.database.number(ORDERS).await, 4);
}

async fn a_refusal_leaves_the_key_unused(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    order(&server, KEY, "one", cart(&[("99", 1)])).await.assert_error(422, "unknown_product");
    order(&server, KEY, "one", cart(&[("1", 0)])).await.assert_error(400, "validation_failed");
    order(&server, KEY, "one", "{".to_owned()).await.assert_error(400, "invalid_json");
    let taken = order(&server, KEY, "one", cart(&[("1", 1)])).await;
    assert_eq!((taken.status.as_u16(), taken.header("idempotent-replayed")), (200, ""));
}

async fn a_key_belongs_to_its_client(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let first = order(&server, KEY, "one", cart(&[("1", 1)])).await.json();
    for other in [OTHER_KEY, ADMIN_KEY] {
        let answer = order(&server, other, "one", cart(&[("2", 1)])).await;
        assert_eq!((answer.status.as_u16(), answer.header("idempotent-replayed")), (200, ""));
        assert_ne!(answer.json()["id"], first["id"]);
    }
    order(&server, "wrong", "one", cart(&[("1", 1)])).await.assert_error(403, "invalid_api_key");
}

async fn what_is_no_key(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    for key in ["", "two words", &"x".repeat(256)] {
        order(&server, KEY, key, cart(&[("1", 1)])).await.assert_error(400, "idempotency_key_invalid");
    }
    let post = || {
        server
            .request(Method::POST, "/api/order")
            .header("api_key", KEY)
            .header("content-type", "application/json")
    };
    let binary = post().header("idempotency-key", &b"\xe9"[..]).body(cart(&[("1", 1)]));
    server.send(binary).await.assert_error(400, "idempotency_key_invalid");
    let twice = post().header("idempotency-key", "a").header("idempotency-key", "b").body(cart(&[("1", 1)]));
    server.send(twice).await.assert_error(400, "idempotency_key_invalid");
    assert_eq!(order(&server, KEY, &"~".repeat(255), cart(&[("1", 1)])).await.status, 200);
}

/// What made the first order possible is gone; the answer to its repetition is not.
async fn a_replay_outlives_the_menu_and_the_promotion(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let body = json!({"items": [{"productId": "1", "quantity": 1}], "couponCode": "SAVE10"}).to_string();
    let first = order(&server, KEY, "one", body.clone()).await;
    assert_eq!(first.status, 200);
    server
        .database
        .execute(
            "update products set retired_at = 1; update promotions set retired_at = 1; \
             update change_counters set menu = menu + 1, promotions = promotions + 1",
        )
        .await;
    eventually("the menu is empty", async || server.get("/api/product").await.text == "[]").await;
    let again = order(&server, KEY, "one", body.clone()).await;
    assert_eq!((again.text.as_str(), again.header("idempotent-replayed")), (first.text.as_str(), "true"));
    order(&server, KEY, "new", body).await.assert_error(422, "unknown_product");
}

async fn many_at_once_are_one_order(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let before = server.database.number(ORDERS).await;
    for round in 0..5 {
        let key = format!("round-{round}");
        let answers = (0..32).map(|_| order(&server, KEY, &key, cart(&[("1", 1)])));
        let answers = futures_util::future::join_all(answers).await;
        assert!(answers.iter().all(|answer| answer.status == 200 && answer.text == answers[0].text));
        let replays = answers.iter().filter(|answer| answer.header("idempotent-replayed") == "true").count();
        assert_eq!(replays, 31);
    }
    assert_eq!(server.database.number(ORDERS).await, before + 5);
}

async fn keys_are_forgotten_after_a_day(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let first = order(&server, KEY, "old", cart(&[("1", 1)])).await.json();
    order(&server, KEY, "young", cart(&[("1", 1)])).await;
    server
        .database
        .execute("update idempotency_keys set created_at = created_at - 86500000000 where key = 'old'")
        .await;
    let url = server.database.url();
    let storage = Database::new(Pools::open(&url, "test", 1), &url, &Registry::off());
    let api_keys = server.state.catalogue.api_keys.clone();
    Housekeeping::new(storage, api_keys, Arc::new(SystemClock)).prune().await.unwrap();
    assert_eq!(server.database.texts("select key from idempotency_keys").await, ["young"]);
    let second = order(&server, KEY, "old", cart(&[("1", 1)])).await.json();
    assert_ne!(first["id"], second["id"], "a forgotten key is a new one");
}
