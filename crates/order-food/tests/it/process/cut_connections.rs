//! Connections to PostgreSQL that are cut when a commit was sent, for orders without keys.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use test_database::{TestDatabase, TestEngine};

use super::proxy::Proxy;
use super::{Api, no_session_is_left};
use crate::harness::{KEY, load_sample_data};

const CLIENTS: usize = 16;
const ENOUGH_CUTS: usize = 25;

/// The number that an order carries in its quantities, so that it is known again.
fn numbered_cart(number: usize, code: Option<&str>) -> Value {
    json!({"couponCode": code, "items": [
        {"productId": "1", "quantity": number % 1000 + 1},
        {"productId": "2", "quantity": number / 1000 + 1},
    ]})
}

const STORED: &str = "select ((snapshot -> 'lines' -> 0 ->> 'quantity')::int - 1 \
     + ((snapshot -> 'lines' -> 1 ->> 'quantity')::int - 1) * 1000)::text from orders where created_at > $start";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_lose_and_double_nothing() {
    let database = TestDatabase::migrated(TestEngine::Postgres).await;
    load_sample_data(&database).await;
    let promotion = "insert into promotions (code, kind, value, min_items, min_subtotal_cents, max_uses, active, source, \
         created_at, updated_at) values ('LIMITED', 'fixed', 100, 0, 0, 1000000, true, 'api', 0, 0)";
    database.execute(promotion).await;
    let start = database.number("select max(created_at) from orders").await;
    let (host_and_before, name) = database.url_text().rsplit_once('/').unwrap();
    let (login, server) = host_and_before.rsplit_once('@').unwrap();
    let proxy = Proxy::start(server.to_owned()).await;
    let url = format!("{login}@{}/{name}", proxy.address);
    let mut api = Api::start(&url, &[("RUST_LOG", "warn,order_food=info")]);

    let next = Arc::new(AtomicUsize::new(0));
    let cuts = proxy.cuts.clone();
    let begun = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (url, http, next, cuts) =
                (api.url("/api/order"), api.client.clone(), next.clone(), cuts.clone());
            tokio::spawn(async move {
                let mut told = Vec::new();
                while cuts.iter().any(|count| count.load(Ordering::Relaxed) < ENOUGH_CUTS) {
                    assert!(begun.elapsed() < Duration::from_secs(30), "too few cuts: {cuts:?}");
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    // Some in a transaction of several statements.
                    let code = (number % 50 == 0).then_some("LIMITED");
                    let request = http.post(&url).header("api_key", KEY);
                    let request = request.header("content-type", "application/json");
                    let answer = request.body(numbered_cart(number, code).to_string()).send().await;
                    let answer: Value = answer.expect("an answer").json().await.expect("JSON");
                    told.push((number, answer["reason"].as_str().unwrap_or("placed").to_owned()));
                }
                told
            })
        })
        .collect();
    let mut told = Vec::new();
    for client in clients {
        told.extend(client.await.expect("a client ran to its end"));
    }
    api.process.signal("TERM");
    assert!(api.process.wait(Duration::from_secs(10)).success());
    no_session_is_left(&database).await;

    let mut stored: HashMap<usize, usize> = HashMap::new();
    for number in database.texts(&STORED.replace("$start", &start.to_string())).await {
        *stored.entry(number.parse().unwrap()).or_default() += 1;
    }
    let mut reasons: HashMap<&str, usize> = HashMap::new();
    for (number, reason) in &told {
        *reasons.entry(reason).or_default() += 1;
        match (reason.as_str(), stored.remove(number).unwrap_or_default()) {
            ("placed", 1) | ("outcome_unknown", 0 | 1) | ("database_unavailable" | "overloaded", 0) => {}
            (reason, times) => panic!("told {reason:?}, and stored {times} times; cuts: {cuts:?}"),
        }
    }
    assert!(stored.is_empty(), "nobody has ordered {stored:?}");
    assert!(reasons["placed"] > 10 * ENOUGH_CUTS, "{reasons:?}");
    let redeemed = database.number("select count(*) from promotion_redemptions").await;
    let counted = database.number("select used from limit_counters where name = 'promotion:LIMITED'").await;
    let with_code = "select count(*) from order_summaries where coupon_code = 'LIMITED'";
    assert_eq!((redeemed, counted), (database.number(with_code).await, redeemed), "{reasons:?}");
}
