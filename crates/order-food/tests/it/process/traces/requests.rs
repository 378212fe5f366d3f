//! What requests that go wrong look like in traces, and what is never in them.

use std::time::Duration;

use serde_json::Value;
use test_database::{Collector, Manner, Received, TestEngine, only};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{metric, traced};
use crate::harness::{ADMIN_KEY, KEY, cart, cart_with_code, eventually, hold_orders};

/// `opentelemetry_proto`'s number.
const ERROR: i32 = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_seen() {
    let collector = Collector::start(Manner::Takes);
    let (_database, api) =
        traced(TestEngine::Sqlite, &collector, &[("ENABLE_FAULT_INJECTION", "true")]).await;
    let panic = api.client.get(api.url("/panic")).header("api_key", ADMIN_KEY).send().await.unwrap();
    assert_eq!(panic.status(), 500);
    let refused = api.client.post(api.url("/api/order")).header("api_key", KEY);
    let refused =
        refused.header("content-type", "application/json").body(cart_with_code(&[("1", 1)], "NOSUCH99"));
    assert_eq!(refused.send().await.unwrap().status(), 422);
    let spans = collector.wait_for("both", |spans| {
        let reasons: Vec<_> = spans.iter().filter_map(|span| span.attribute("order_food.reason")).collect();
        ["internal", "coupon_unknown"].iter().all(|reason| reasons.iter().any(|seen| seen == reason))
    });
    let of = |reason: &str| {
        let mut found =
            spans.iter().filter(|span| span.attribute("order_food.reason").as_deref() == Some(reason));
        found.next().unwrap()
    };
    let is_error = |span: &Received| span.span.status.as_ref().is_some_and(|status| status.code == ERROR);
    assert!(is_error(of("internal")));
    assert_eq!(of("internal").span.name, "GET /panic");
    assert_eq!(of("internal").attribute("error.type").as_deref(), Some("panic"));
    assert!(!is_error(of("coupon_unknown")), "a refusal is no failure of the server");
    assert_eq!(of("coupon_unknown").number("http.response.status_code"), Some(422));
}

/// Everything a client can send that is nobody else's business.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_in_no_span() {
    const SECRETS: [&str; 8] = [
        KEY,
        "idempotency-5f1c",
        "bearer-7a3e",
        "cookie-91bd",
        "SAVE10",
        "WRONGCODE",
        "wrong-key-44d0",
        "query-c0ffee",
    ];
    let collector = Collector::start(Manner::Takes);
    let (_database, api) = traced(TestEngine::Sqlite, &collector, &[]).await;
    let order = |key: &str, code: &str| {
        let request = api.client.post(api.url("/api/order")).header("api_key", key).header("X-API-Key", key);
        let request =
            request.header("idempotency-key", "idempotency-5f1c").header("cookie", "session=cookie-91bd");
        let request = request.header("authorization", "Bearer bearer-7a3e");
        request.header("content-type", "application/json").body(cart_with_code(&[("1", 1)], code)).send()
    };
    assert_eq!(order(KEY, "SAVE10").await.unwrap().status(), 200);
    assert_eq!(order(KEY, "SAVE10").await.unwrap().status(), 200);
    assert_eq!(order(KEY, "WRONGCODE").await.unwrap().status(), 422);
    assert_eq!(order("wrong-key-44d0", "SAVE10").await.unwrap().status(), 403);
    for path in [
        "/api/product?q=query-c0ffee",
        "/api/order?limit=3",
        "/nothing?api_key=query-c0ffee",
        "/openapi.json",
    ] {
        api.text(path).await;
    }
    let spans = collector
        .wait_for("the last request", |spans| spans.iter().any(|span| span.span.name == "GET /openapi.json"));
    let export = format!("{spans:?}");
    for secret in SECRETS {
        assert!(!export.contains(secret), "{secret}");
    }
}

/// Whoever goes away before the answer is still told of, and an order that was stored for nobody is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_went_away_is_seen() {
    let collector = Collector::start(Manner::Takes);
    let (database, mut api) = traced(TestEngine::Sqlite, &collector, &[]).await;
    let held = hold_orders(&database).await;
    let mut client = TcpStream::connect(api.address).await.unwrap();
    let body = cart(&[("1", 1)]);
    let request = format!(
        "POST /api/order HTTP/1.1\r\nhost: shop\r\napi_key: {KEY}\r\nx-request-id: gone-1\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    client.write_all((request + &body).as_bytes()).await.unwrap();
    let active = "http_server_active_requests{http_request_method=\"POST\"}";
    eventually("the order waits", async || metric(&api.text("/metrics").await, active) >= 1.0).await;
    // Reset, not closed: who closes may still want to read.
    client.set_zero_linger().unwrap();
    drop(client);
    eventually("the request is over", async || metric(&api.text("/metrics").await, active) < 1.0).await;
    drop(held);
    let line = api.process.wait_for_line("gone-1", Duration::from_secs(5));
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["status"], &line["route"]), (&499.into(), &"/api/order".into()), "{line}");
    let spans = collector.wait_for("the request", |spans| {
        spans.iter().any(|span| span.number("http.response.status_code") == Some(499))
    });
    only(&spans, "POST /api/order");
    eventually("the order is counted", async || {
        metric(&api.text("/metrics").await, "orders_placed_total") >= 1.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_strangers_send_is_cut() {
    let collector = Collector::start(Manner::Takes);
    let (_database, api) = traced(TestEngine::Sqlite, &collector, &[]).await;
    let long = "x".repeat(5_000);
    let request = api.client.get(api.url(&format!("/api/product/{long}"))).header("user-agent", &long);
    request.header("accept", &long).header("x-request-id", &long).send().await.unwrap();
    let spans = collector
        .wait_for("the request", |spans| spans.iter().any(|span| span.span.name.contains("productId")));
    let span = only(&spans, "GET /api/product/{productId}");
    for attribute in span.span.attributes.iter().filter(|attribute| attribute.key != "server.port") {
        if attribute.key != "http.response.status_code" {
            assert!(span.attribute(&attribute.key).unwrap().len() <= 256, "{}", attribute.key);
        }
    }
}
