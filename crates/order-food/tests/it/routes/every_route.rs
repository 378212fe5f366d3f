//! What holds for every path: unknown ones, wrong methods, HEAD, OPTIONS, request ids.

use reqwest::Method;
use test_database::{TestEngine, on_both_engines};

use crate::harness::{KEY, TestServer};

on_both_engines!(
    unknown_paths_are_not_found,
    wrong_methods_are_told_the_right_ones,
    head_is_get_without_a_body,
    requests_have_ids,
);

const ROUTES: [(&str, &str); 10] = [
    ("/api/product", "GET, HEAD, OPTIONS"),
    ("/api/product/1", "GET, HEAD, OPTIONS"),
    ("/api/order", "GET, HEAD, OPTIONS, POST"),
    ("/api/order/quote", "OPTIONS, POST"),
    ("/api/order/01990a4c-5a00-7000-8000-000000000001", "GET, HEAD, OPTIONS"),
    ("/livez", "GET, HEAD, OPTIONS"),
    ("/readyz", "GET, HEAD, OPTIONS"),
    ("/healthcheck", "GET, HEAD, OPTIONS"),
    ("/health", "GET, HEAD, OPTIONS"),
    ("/", "GET, HEAD, OPTIONS"),
];

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
            server.send(server.request(method, path)).await.is_error(404, "not_found");
        }
    }
}

async fn wrong_methods_are_told_the_right_ones(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    for (path, allow) in ROUTES {
        for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "POST", "TRACE", "BREW"] {
            if allow.contains(method) {
                continue;
            }
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = server.send(server.request(method, path)).await;
            if answer.text.is_empty() {
                assert_eq!(answer.status, 405, "HEAD {path}");
            } else {
                answer.is_error(405, "method_not_allowed");
            }
            assert_eq!(answer.header("allow"), allow, "{path}");
        }
        let options = server.send(server.request(Method::OPTIONS, path)).await;
        assert_eq!(
            (options.status.as_u16(), options.header("allow"), options.text.as_str()),
            (204, allow, ""),
            "{path}"
        );
    }
}

async fn head_is_get_without_a_body(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    for (path, _) in ROUTES.into_iter().filter(|(_, allow)| allow.contains("GET")) {
        let get = server.get_with_key(path, KEY).await;
        let head = server.send(server.request(Method::HEAD, path).header("api_key", KEY)).await;
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.text, "");
        assert_eq!(head.header("content-length"), get.text.len().to_string(), "{path}");
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
    assert_eq!(answer.is_error(404, "not_found")["traceId"], trace_id);
    let (one, other) = (server.get("/livez").await, server.get("/livez").await);
    assert_eq!(one.header("x-request-id").len(), 32);
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
    let unusable = "x".repeat(200);
    let answer = server.send(server.request(Method::GET, "/livez").header("x-request-id", &unusable)).await;
    assert_ne!(answer.header("x-request-id"), unusable);
}
