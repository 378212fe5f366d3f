//! SIGTERM and Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use test_database::{TestDatabase, TestEngine, execute, on_both_engines};

use super::Api;
use crate::harness::{KEY, cart, load_sample_data};

on_both_engines!(requests_under_way_are_answered);

/// Clients that open a connection for each request, as through a balancer; they stop asking when `/readyz` says so.
async fn requests_under_way_are_answered(engine: TestEngine) {
    let database = TestDatabase::migrated(engine).await;
    load_sample_data(&database).await;
    let mut api = Api::start(database.url_text(), &[("SHUTDOWN_DELAY_SECONDS", "1")]);
    let answered = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let (base, answered, client) = (api.url(""), answered.clone(), api.client.clone());
            tokio::spawn(async move {
                while client.get(format!("{base}/readyz")).send().await.expect("an answer").status() == 200 {
                    let request = client.post(format!("{base}/api/order")).header("api_key", KEY);
                    let request = request.header("content-type", "application/json").body(cart(&[("1", 1)]));
                    assert_eq!(request.send().await.expect("no request fails").status(), 200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    while answered.load(Ordering::Relaxed) < 50 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    api.process.signal("TERM");
    for client in clients {
        client.await.expect("no client failed");
    }
    assert_eq!(api.process.wait(Duration::from_secs(10)).code(), Some(0));
    let stored = database.number("select count(*) from orders").await;
    let answered = i64::try_from(answered.load(Ordering::Relaxed)).unwrap();
    assert_eq!(stored, answered + 3, "every answered order is stored, and no other");
}

/// A request that waits for the database when the signal comes is still answered, although nothing new is accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_request_is_waited_for() {
    let database = TestDatabase::migrated(TestEngine::Postgres).await;
    load_sample_data(&database).await;
    let mut api = Api::start(database.url_text(), &[]);
    let mut blocker = database.session().await;
    execute(blocker.connection.as_mut(), "begin; lock table orders in access exclusive mode").await;
    let order = api.client.post(api.url("/api/order")).header("api_key", KEY);
    let order = order.header("content-type", "application/json").body(cart(&[("1", 1)]));
    let order = tokio::spawn(order.send());
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let deadline = Instant::now() + Duration::from_secs(5);
    while database.number(waiting).await == 0 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    api.process.signal("TERM");
    api.process.wait_for_line("\"stopping\"", Duration::from_secs(5));
    execute(blocker.connection.as_mut(), "commit").await;
    let answer = order.await.unwrap().expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["connection"], "close");
    assert_eq!(api.process.wait(Duration::from_secs(10)).code(), Some(0));
}

/// An idle keep-alive connection does not hold the process up.
#[tokio::test]
async fn idle_connections_do_not_delay_the_end() {
    let database = TestDatabase::migrated(TestEngine::Sqlite).await;
    load_sample_data(&database).await;
    let mut api = Api::start(database.url_text(), &[]);
    api.text("/livez").await;
    let told = Instant::now();
    api.process.signal("TERM");
    assert_eq!(api.process.wait(Duration::from_secs(10)).code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(2), "{:?}", told.elapsed());
}

#[tokio::test]
async fn while_draining_the_process_is_unready_and_serves() {
    let database = TestDatabase::migrated(TestEngine::Sqlite).await;
    load_sample_data(&database).await;
    let mut api = Api::start(database.url_text(), &[("SHUTDOWN_DELAY_SECONDS", "30")]);
    api.process.signal("TERM");
    api.process.wait_for_line("\"stopping\"", Duration::from_secs(5));
    let ready = api.client.get(api.url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 503);
    assert!(ready.text().await.unwrap().contains("the process is stopping"));
    assert_eq!(api.client.get(api.url("/livez")).send().await.unwrap().status(), 200);
    api.order().await;
    // A second signal does not wait.
    let told = Instant::now();
    api.process.signal("INT");
    assert_eq!(api.process.wait(Duration::from_secs(5)).code(), Some(130));
    assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
}
