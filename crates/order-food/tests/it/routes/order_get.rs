//! `GET /api/order/{orderId}`

use test_database::{TestEngine, on_both_engines};

use crate::harness::{ADMIN_KEY, KEY, OTHER_KEY, TestServer};

on_both_engines!(
    an_order_is_found_as_it_was_answered,
    another_clients_order_is_not_found,
    ids_that_are_none,
    a_retired_or_repriced_product_leaves_the_order_as_it_was,
    a_status_there_is_no_list_of_is_shown,
);

async fn an_order_is_found_as_it_was_answered(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let order = server.order(KEY, &[("7", 1), ("2", 4)]).await;
    let found = server.get_with_key(&format!("/api/order/{}", order["id"].as_str().unwrap()), KEY).await;
    assert_eq!(found.status, 200);
    assert_eq!(found.json(), order);
}

async fn another_clients_order_is_not_found(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let order = server.order(KEY, &[("1", 1)]).await;
    let path = format!("/api/order/{}", order["id"].as_str().unwrap());
    server.get_with_key(&path, OTHER_KEY).await.assert_error(404, "not_found");
    assert_eq!(server.get_with_key(&path, ADMIN_KEY).await.json(), order);
    server
        .get_with_key("/api/order/00000000-0000-0000-0000-000000000000", KEY)
        .await
        .assert_error(404, "not_found");
}

async fn ids_that_are_none(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    for id in ["1", "abc", "0198", "01990a4c-5a00-7000-8000-00000000000g", "%00"] {
        server.get_with_key(&format!("/api/order/{id}"), KEY).await.assert_error(400, "invalid_id");
    }
    server.get("/api/order/abc").await.assert_error(401, "missing_api_key");
}

async fn a_retired_or_repriced_product_leaves_the_order_as_it_was(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let order = server.order(KEY, &[("1", 1), ("2", 1)]).await;
    server
        .database
        .execute(
            "update products set price_cents = 1, name = 'Other' where id = 1; \
             update products set retired_at = 1 where id = 2; update change_counters set menu = menu + 1",
        )
        .await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(2);
    while server.get("/api/product/2").await.status != 404 {
        assert!(std::time::Instant::now() < deadline, "the change never arrived");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    server.order_text(KEY, crate::harness::cart(&[("2", 1)])).await.assert_error(422, "unknown_product");
    let found = server.get_with_key(&format!("/api/order/{}", order["id"].as_str().unwrap()), KEY).await;
    assert_eq!(found.json(), order);
}

async fn a_status_there_is_no_list_of_is_shown(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    server.database.execute("update orders set status = 'ready_for_pickup'").await;
    let found = server.get_with_key("/api/order/01990a4c-5a00-7000-8000-000000000001", KEY).await.json();
    assert_eq!(found["status"], "ready_for_pickup");
    assert_eq!(found["createdAt"], "2025-09-02T12:00:00.000Z");
}
