//! Rate limits.

use reqwest::Method;
use test_database::{TestEngine, on_both_engines};

use crate::harness::{Answer, KEY, OTHER_KEY, TestServer, cart};

on_both_engines!(off_by_default, requests_of_a_client, addresses_behind_a_proxy, wrong_keys_and_codes);

const TEN: [&str; 4] = ["--rate-limit-per-second", "10", "--trusted-proxies", "127.0.0.0/8"];

async fn get(server: &TestServer, path: &str, key: &str, address: &str) -> Answer {
    let request = server.request(Method::GET, path).header("x-forwarded-for", address);
    server.send(if key.is_empty() { request } else { request.header("api_key", key) }).await
}

async fn off_by_default(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    for _ in 0..100 {
        let answer = server.get_with_key("/api/order", "wrong").await;
        answer.assert_error(403, "invalid_api_key");
        assert_eq!(answer.header("ratelimit"), "");
    }
}

async fn requests_of_a_client(engine: TestEngine) {
    let server = TestServer::start_with(engine, &TEN).await;
    let first = get(&server, "/api/order", KEY, "192.0.2.1").await;
    assert_eq!(first.header("ratelimit-policy"), "\"client\";q=20;w=2");
    assert!(first.header("ratelimit").starts_with("\"client\";r=19;t="), "{}", first.header("ratelimit"));
    // From many addresses: it is the client that has had enough.
    let mut refused = None;
    for address in 2..60 {
        let answer = get(&server, "/api/order", KEY, &format!("192.0.2.{address}")).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a client has a limit");
    refused.assert_error(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), "1");
    assert!(refused.header("ratelimit").starts_with("\"client\";r=0;t="));
    assert_eq!(
        get(&server, "/api/order", OTHER_KEY, "192.0.2.200").await.status,
        200,
        "another client has its own"
    );
}

async fn addresses_behind_a_proxy(engine: TestEngine) {
    let server = TestServer::start_with(engine, &TEN).await;
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(get(&server, "/api/product", "", "198.51.100.7").await.status.as_u16());
    }
    assert!(statuses.starts_with(&[200; 20]) && statuses.contains(&429), "{statuses:?}");
    assert_eq!(get(&server, "/api/product", "", "198.51.100.8").await.status, 200);
    for _ in 0..40 {
        assert_eq!(get(&server, "/readyz", "", "198.51.100.7").await.status, 200, "probes have no limit");
    }
    // As proxies write addresses, each client has a bucket of its own.
    for client in 1..=40 {
        for address in [format!("203.0.113.{client}:49152"), format!("[2001:db8:0:{client}::1]:443")] {
            assert_eq!(get(&server, "/api/product", "", &address).await.status, 200, "{address}");
        }
    }
    assert_eq!(invalid(&server).await, 0);
    let mut statuses = Vec::new();
    for client in 0..40 {
        let address = ["unknown", "_hidden", "shop.example"][client % 3];
        statuses.push(get(&server, "/api/product", "", address).await.status.as_u16());
    }
    assert!(statuses.starts_with(&[200; 20]) && statuses.contains(&429), "{statuses:?}");
    assert_eq!(invalid(&server).await, 40);
    // Without a trusted proxy the header is anybody's word.
    let open = TestServer::start_with(engine, &["--rate-limit-per-second", "10"]).await;
    let mut statuses = Vec::new();
    for address in 0..60 {
        statuses.push(get(&open, "/api/product", "", &format!("198.51.100.{address}")).await.status.as_u16());
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    let page = open.request(Method::GET, "/api/product").header("origin", "https://shop.example");
    let refused = open.send(page).await;
    refused.assert_error(429, "rate_limited");
    assert_eq!(refused.header("access-control-allow-origin"), "*", "the page can read why");
    assert!(!refused.header("retry-after").is_empty());
}

async fn invalid(server: &TestServer) -> u32 {
    let text = server.get("/metrics").await.text;
    let line = text.lines().find(|line| line.starts_with("forwarded_addresses_invalid_total ")).unwrap();
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

async fn wrong_keys_and_codes(engine: TestEngine) {
    let server =
        TestServer::start_with(engine, &["--rate-limit-per-second", "20", "--trusted-proxies", "127.0.0.1"])
            .await;
    let mut reasons = Vec::new();
    for _ in 0..10 {
        reasons.push(get(&server, "/api/order", "wrong", "203.0.113.1").await.json()["reason"].clone());
    }
    assert_eq!(reasons[0], "invalid_api_key");
    assert!(reasons.contains(&"rate_limited".into()), "{reasons:?}");
    // The right key does not help whoever guesses; others are not concerned.
    assert_eq!(get(&server, "/api/order", KEY, "203.0.113.1").await.status, 429);
    assert_eq!(get(&server, "/api/order", KEY, "203.0.113.2").await.status, 200);

    let order = async |code: Option<&str>| {
        let mut body: serde_json::Value = serde_json::from_str(&cart(&[("1", 1)])).unwrap();
        if let Some(code) = code {
            body["couponCode"] = code.into();
        }
        let request = server.request(Method::POST, "/api/order").header("api_key", OTHER_KEY);
        let request =
            request.header("x-forwarded-for", "203.0.113.9").header("content-type", "application/json");
        server.send(request.body(body.to_string())).await
    };
    let mut reasons = Vec::new();
    for guess in 0..10 {
        reasons.push(order(Some(&format!("GUESS{guess:03}"))).await.json()["reason"].clone());
    }
    assert_eq!(reasons[0], "coupon_unknown");
    assert!(reasons.contains(&"rate_limited".into()), "{reasons:?}");
    assert_eq!(order(Some("SAVE10")).await.status, 429, "guessing goes on as little with a right code");
    assert_eq!(order(None).await.status, 200, "orders without a code are not concerned");
}
