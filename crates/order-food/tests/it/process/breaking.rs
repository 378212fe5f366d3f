//! Orders under load while something breaks: whatever was acknowledged is there once, and nothing else is.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use test_database::{TestDatabase, TestEngine, on_both_engines};
use tokio::task::JoinHandle;

use super::Api;
use crate::harness::{KEY, cart, load_sample_data, order_ids};

on_both_engines!(kill_9_loses_and_doubles_nothing);

/// What clients were told.
#[derive(Debug, Default)]
struct Record {
    acknowledged: HashSet<String>,
    reasons: HashMap<String, usize>,
    unanswered: usize,
}

/// Clients that order without keys, one after the other, until told to stop.
fn clients(api: &Api, count: usize, stop: &Arc<AtomicBool>) -> Vec<JoinHandle<Record>> {
    let client = |_| {
        let (url, http, stop) = (api.url("/api/order"), api.client.clone(), stop.clone());
        tokio::spawn(async move {
            let mut record = Record::default();
            while !stop.load(Ordering::Relaxed) {
                let request =
                    http.post(&url).header("api_key", KEY).header("content-type", "application/json");
                let answer = match request.body(cart(&[("1", 1)])).send().await {
                    Ok(answer) => answer.json::<Value>().await,
                    Err(error) => Err(error),
                };
                match answer {
                    Err(_) => record.unanswered += 1,
                    Ok(body) => match (body["id"].as_str(), body["reason"].as_str()) {
                        (Some(id), _) => drop(record.acknowledged.insert(id.to_owned())),
                        (None, reason) => {
                            *record.reasons.entry(reason.unwrap_or("none").to_owned()).or_default() += 1;
                        }
                    },
                }
            }
            record
        })
    };
    (0..count).map(client).collect()
}

async fn joined(clients: Vec<JoinHandle<Record>>) -> Record {
    let mut all = Record::default();
    for client in clients {
        let record = client.await.expect("a client ran to its end");
        all.acknowledged.extend(record.acknowledged);
        all.unanswered += record.unanswered;
        for (reason, count) in record.reasons {
            *all.reasons.entry(reason).or_default() += count;
        }
    }
    all
}

async fn shop(engine: TestEngine) -> (TestDatabase, HashSet<String>) {
    let database = TestDatabase::migrated(engine).await;
    load_sample_data(&database).await;
    let before = order_ids(&database).await;
    (database, before)
}

async fn kill_9_loses_and_doubles_nothing(engine: TestEngine) {
    let (database, before) = shop(engine).await;
    let mut acknowledged = HashSet::new();
    let mut unanswered = 0;
    for round in 0..5 {
        let mut api = Api::start(database.url_text(), &[("RUST_LOG", "warn,order_food=info")]);
        // Before that, orders are refused: on a busy machine the first look at the data may take longer than the start.
        api.is_ready().await;
        let stop = Arc::new(AtomicBool::new(false));
        let clients = clients(&api, 16, &stop);
        tokio::time::sleep(Duration::from_millis(150 + 70 * round)).await;
        api.process.signal("KILL");
        api.process.wait(Duration::from_secs(5));
        stop.store(true, Ordering::Relaxed);
        let record = joined(clients).await;
        assert_eq!(record.reasons, HashMap::new());
        acknowledged.extend(record.acknowledged);
        unanswered += record.unanswered;
    }
    let stored: HashSet<String> = order_ids(&database).await.difference(&before).cloned().collect();
    assert!(acknowledged.len() > 100, "{} orders are no load", acknowledged.len());
    assert!(acknowledged.is_subset(&stored), "an acknowledged order is lost");
    // What is there beyond that was on its way when its process died.
    assert!(
        stored.len() - acknowledged.len() <= unanswered,
        "{} {} {unanswered}",
        stored.len(),
        acknowledged.len()
    );
}

/// The writers' sessions are ended at random: between commits, in them, and after them before the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ended_sessions_lose_and_double_nothing() {
    let (database, before) = shop(TestEngine::Postgres).await;
    let api = Api::start(database.url_text(), &[]);
    let stop = Arc::new(AtomicBool::new(false));
    let clients = clients(&api, 16, &stop);
    let ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                 where datname = current_database() and application_name = 'order-food-writer'";
    let (started, mut sessions) = (Instant::now(), 0);
    while started.elapsed() < Duration::from_secs(4) {
        sessions += database.number(ended).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let record = joined(clients).await;
    let stored: HashSet<String> = order_ids(&database).await.difference(&before).cloned().collect();
    assert!(sessions > 20 && record.acknowledged.len() > 100, "{sessions} {}", record.acknowledged.len());
    assert_eq!(record.unanswered, 0);
    assert!(record.acknowledged.is_subset(&stored), "an acknowledged order is lost");
    let unknown = record.reasons.get("outcome_unknown").copied().unwrap_or_default();
    assert!(stored.len() - record.acknowledged.len() <= unknown, "stored, but refused: {:?}", record.reasons);
    let others: Vec<_> = record
        .reasons
        .keys()
        .filter(|reason| !matches!(reason.as_str(), "outcome_unknown" | "database_unavailable"))
        .collect();
    assert!(others.is_empty(), "{others:?}");
}
