//! What holds for every path: unknown ones, wrong methods, HEAD, OPTIONS, request ids.

use std::collections::BTreeMap;
use std::time::Duration;

use order_food::router::{ENDPOINTS, methods_of};
use reqwest::Method;
use test_database::{TestEngine, on_both_engines};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{KEY, TestServer, cart, order_ids};

on_both_engines!(
    unknown_paths_are_not_found,
    wrong_methods_are_told_the_right_ones,
    head_is_get_without_a_body,
    requests_have_ids,
    who_takes_no_json_is_told_so,
    browsers_are_welcomed_with_a_page,
    responses_say_whether_they_may_be_kept,
    parameters_stand_once,
    the_server_as_a_whole_has_options,
    nothing_is_done_after_the_last_answer,
);

/// Every path, or one of those that a route stands for, and the methods that it answers.
pub fn routes() -> BTreeMap<String, String> {
    let example = |path: &str| {
        path.replace("{productId}", "1")
            .replace("{orderId}", "01990a4c-5a00-7000-8000-000000000001")
            .replace("{file}", "start.js")
    };
    ENDPOINTS.iter().map(|endpoint| (example(endpoint.path), methods_of(endpoint.path))).collect()
}

async fn unknown_paths_are_not_found(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    for path in [
        "/nope",
        "/api",
        "/api/",
        "/api/product/",
        "/api/product/1/2",
        "/api/orders",
        "//",
        "/API/product",
        "/panic",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            server.send(server.request(method, path)).await.assert_error(404, "not_found");
        }
    }
}

async fn wrong_methods_are_told_the_right_ones(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    for (path, allow) in routes() {
        for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "POST", "TRACE", "BREW"] {
            if allow.contains(method) {
                continue;
            }
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = server.send(server.request(method, &path)).await;
            if answer.text.is_empty() {
                assert_eq!(answer.status, 405, "HEAD {path}");
            } else {
                answer.assert_error(405, "method_not_allowed");
            }
            assert_eq!(answer.header("allow"), allow, "{path}");
        }
        let options = server.send(server.request(Method::OPTIONS, &path)).await;
        assert_eq!(
            (options.status.as_u16(), options.header("allow"), options.text.as_str()),
            (204, allow.as_str(), ""),
            "{path}"
        );
    }
}

async fn head_is_get_without_a_body(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    for (path, _) in routes().into_iter().filter(|(_, allow)| allow.contains("GET")) {
        let get = server.get_with_key(&path, KEY).await;
        let head = server.send(server.request(Method::HEAD, &path).header("api_key", KEY)).await;
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.text, "");
        // Every look at the metrics changes them.
        if path != "/metrics" {
            assert_eq!(head.header("content-length"), get.text.len().to_string(), "{path}");
        }
    }
}

async fn requests_have_ids(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let trace_id = "0af7651916cd43dd8448eb211c80319c";
    let traced = server
        .request(Method::GET, "/nope")
        .header("traceparent", format!("00-{trace_id}-b7ad6b7169203331-01"))
        .header("x-request-id", "order-42");
    let answer = server.send(traced).await;
    assert_eq!(answer.header("x-request-id"), "order-42");
    assert_eq!(answer.assert_error(404, "not_found")["traceId"], trace_id);
    let (one, other) = (server.get("/livez").await, server.get("/livez").await);
    assert_eq!(one.header("x-request-id").len(), 32);
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
    let unusable = "x".repeat(200);
    let answer = server.send(server.request(Method::GET, "/livez").header("x-request-id", &unusable)).await;
    assert_ne!(answer.header("x-request-id"), unusable);
}

async fn who_takes_no_json_is_told_so(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    for (path, allow) in routes().into_iter().filter(|(path, _)| path.starts_with("/api/")) {
        for method in ["GET", "POST"].into_iter().filter(|method| allow.contains(method)) {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let request = server.request(method, &path).header("accept", "text/xml, application/json;q=0");
            server.send(request).await.assert_error(406, "bad_request");
        }
    }
    let request =
        server.request(Method::GET, "/api/product").header("accept", "text/xml, application/*;q=0.1");
    assert_eq!(server.send(request).await.status, 200);
}

async fn browsers_are_welcomed_with_a_page(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";
    for (accept, content_type) in [
        (browser, "text/html; charset=utf-8"),
        ("*/*", "application/json"),
        ("application/json, text/html;q=0.5", "application/json"),
    ] {
        let answer = server.send(server.request(Method::GET, "/").header("accept", accept)).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, content_type), "{accept}");
        assert!(answer.header("vary").starts_with("Accept"), "{}", answer.header("vary"));
        for link in ["/docs", "/openapi.json", "/api/product", "/health"] {
            assert!(answer.text.contains(&format!("\"{link}\"")), "{accept}: {link}");
        }
    }
}

async fn responses_say_whether_they_may_be_kept(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    for (path, allow) in routes() {
        let method = if allow.contains("GET") { Method::GET } else { Method::POST };
        let answer = server.send(server.request(method, &path).header("api_key", KEY)).await;
        let is_tagged = !answer.header("etag").is_empty();
        assert_eq!(answer.header("cache-control"), if is_tagged { "no-cache" } else { "no-store" }, "{path}");
        let is_public = ["/api/product", "/docs", "/openapi"].iter().any(|start| path.starts_with(start));
        assert_eq!(is_tagged, is_public, "{path}");
    }
    assert_eq!(server.get("/nope").await.header("cache-control"), "no-store");
}

async fn parameters_stand_once(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    for (path, pointer) in [
        ("/api/product?q=a&q=b", "?q"),
        ("/api/product?category=a&x=1&category=a", "?category"),
        ("/api/order?limit=1&limit=2", "?limit"),
    ] {
        let answer = server.get_with_key(path, KEY).await;
        answer.assert_error(400, "validation_failed");
        assert_eq!(answer.pointers(), [pointer]);
    }
    assert_eq!(server.get_with_key("/api/order?x=1&x=2&&=&%ff", KEY).await.status, 200);
}

/// Sends these bytes on one connection, and reads until the server ends it.
async fn exchange(server: &TestServer, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let reading = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(15), reading).await.expect("the server ends it").unwrap();
    answer
}

async fn nothing_is_done_after_the_last_answer(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let body = cart(&[("1", 1)]);
    let post = |key: &str| {
        let length = body.len();
        format!(
            "POST /api/order HTTP/1.1\r\nHost: x\r\n{key}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    let order = post(&format!("api_key: {KEY}\r\n"));
    for first in [
        // Its body is not read, so nobody knows that what follows is a request.
        post(""),
        "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
    ] {
        let before = order_ids(&server.database).await;
        let answer = exchange(&server, &format!("{first}{order}")).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{first}: {answer}");
        assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
        assert_eq!(order_ids(&server.database).await, before, "{first}");
    }
}

async fn the_server_as_a_whole_has_options(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let answer = exchange(&server, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    assert!(answer.contains("allow: GET, HEAD, OPTIONS, POST"), "{answer}");
}
