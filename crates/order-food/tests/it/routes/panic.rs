//! `GET /panic`

use test_database::{TestEngine, on_both_engines};

use crate::harness::{ADMIN_KEY, KEY, TestServer};

on_both_engines!(a_panic_is_one_requests_500);

async fn a_panic_is_one_requests_500(engine: TestEngine) {
    let server = TestServer::start_with(engine, &["--enable-fault-injection", "true"]).await;
    server.get("/panic").await.assert_error(401, "missing_api_key");
    server.get_with_key("/panic", KEY).await.assert_error(403, "insufficient_scope");
    for _ in 0..20 {
        let (panicked, menu) =
            tokio::join!(server.get_with_key("/panic", ADMIN_KEY), server.get("/api/product"));
        let body = panicked.assert_error(500, "internal");
        assert!(!body["message"].as_str().unwrap().contains("panic"), "{body}");
        assert_eq!(menu.status, 200);
    }
}
