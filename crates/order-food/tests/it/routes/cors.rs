//! Pages of other origins.

use reqwest::Method;
use test_database::{TestEngine, on_both_engines};

use crate::harness::TestServer;

on_both_engines!(any_page_may_call_by_default, a_list_of_origins_is_kept_to);

async fn any_page_may_call_by_default(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let preflight = server
        .request(Method::OPTIONS, "/api/order")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "api_key,content-type,idempotency-key,x-api-key,traceparent,x-request-id,if-none-match",
        );
    let answer = server.send(preflight).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(answer.header("access-control-allow-methods").contains("POST"));
    // What instrumentation adds to each request of a page.
    for added in [
        "content-type,baggage,sentry-trace",
        "newrelic,traceparent,tracestate",
        "x-datadog-trace-id,x-datadog-parent-id,x-datadog-origin,x-datadog-sampling-priority",
        "b3,x-b3-traceid,request-id,elastic-apm-traceparent",
    ] {
        let preflight =
            server.request(Method::OPTIONS, "/api/order").header("origin", "https://shop.example");
        let preflight = preflight.header("access-control-request-method", "POST");
        let answer = server.send(preflight.header("access-control-request-headers", added)).await;
        assert_eq!(answer.status, 200, "{added}");
        let allowed = answer.header("access-control-allow-headers").to_lowercase();
        assert!(added.split(',').all(|name| allowed.contains(name)), "{added}: {allowed}");
    }
    let call = server.request(Method::GET, "/api/product").header("origin", "https://shop.example");
    let answer = server.send(call).await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    for name in [
        "link",
        "etag",
        "retry-after",
        "ratelimit",
        "ratelimit-policy",
        "idempotent-replayed",
        "traceresponse",
        "x-request-id",
    ] {
        assert!(answer.header("access-control-expose-headers").contains(name), "{name}");
    }
    // Errors can be read by the page too.
    let refused = server.request(Method::GET, "/api/order").header("origin", "https://shop.example");
    let answer = server.send(refused).await;
    answer.assert_error(401, "missing_api_key");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
}

async fn a_list_of_origins_is_kept_to(engine: TestEngine) {
    let server = TestServer::start_with(engine, &["--cors-allowed-origins", "https://shop.example"]).await;
    let call = |origin: &'static str| server.request(Method::GET, "/api/product").header("origin", origin);
    let answer = server.send(call("https://shop.example")).await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://shop.example");
    assert!(answer.header("vary").contains("Origin"));
    let answer = server.send(call("https://evil.example")).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    let preflight = server.request(Method::OPTIONS, "/api/order").header("origin", "https://evil.example");
    let preflight = preflight.header("access-control-request-method", "POST");
    let refused = server.send(preflight).await;
    refused.assert_error(400, "bad_request");
    assert_eq!(refused.header("access-control-allow-origin"), "");
    assert!(refused.header("vary").contains("Access-Control-Request-Method"), "{}", refused.header("vary"));
}
