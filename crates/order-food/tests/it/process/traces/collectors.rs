//! Collectors that are slow, away, or speak gRPC.

use std::time::{Duration, Instant};

use test_database::{Collector, Manner, TestDatabase, TestEngine};

use super::super::Api;
use super::{metric, traced};
use crate::harness::load_sample_data;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_is_spoken_too() {
    let collector = Collector::start_grpc().await;
    let (_database, api) =
        traced(TestEngine::Sqlite, &collector, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).await;
    api.text("/api/product").await;
    tokio::task::spawn_blocking(move || {
        collector.wait_for("the menu", |spans| spans.iter().any(|span| span.span.name == "GET /api/product"))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_never_answers_costs_nothing_visible() {
    let collector = Collector::start(Manner::BlackHole);
    let (_database, mut api) =
        traced(TestEngine::Sqlite, &collector, &[("OTEL_BSP_MAX_QUEUE_SIZE", "600")]).await;
    for _ in 0..1500 {
        api.text("/").await;
    }
    let asked = Instant::now();
    api.order().await;
    assert!(asked.elapsed() < Duration::from_secs(1));
    let metrics = api.text("/metrics").await;
    let dropped = metric(&metrics, "trace_spans_total{outcome=\"dropped\"}");
    assert!(dropped >= 900.0, "what does not fit is counted: {dropped}");
    let stopping = Instant::now();
    api.process.signal("TERM");
    assert_eq!(api.process.wait(Duration::from_secs(10)).code(), Some(0));
    assert!(stopping.elapsed() < Duration::from_secs(8), "{:?}", stopping.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_is_one_warning() {
    let database = TestDatabase::migrated(TestEngine::Sqlite).await;
    load_sample_data(&database).await;
    // Port 9 is the discard service's; nobody listens there.
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let mut api = Api::start(database.url_text(), &settings);
    let mut failed = 0.0;
    let deadline = Instant::now() + Duration::from_secs(15);
    let mut batches = 0;
    while batches < 3 {
        api.text("/").await;
        let now = metric(&api.text("/metrics").await, "trace_spans_total{outcome=\"failed\"}");
        batches += u32::from(now > failed);
        failed = now;
        assert!(Instant::now() < deadline, "{failed} spans failed");
    }
    api.process.signal("TERM");
    api.process.wait_for_line("\"stopped\"", Duration::from_secs(5));
    assert_eq!(api.process.wait(Duration::from_secs(10)).code(), Some(0));
    let warnings: Vec<_> = api.process.log.iter().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("http://127.0.0.1:9/v1/traces"), "{warnings:?}");
    assert!(warnings[0].contains("Connection refused"), "{warnings:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_does_not_wait_for_the_collector() {
    let collector = Collector::start(Manner::BlackHole);
    let (_database, mut api) = traced(TestEngine::Sqlite, &collector, &[]).await;
    api.text("/").await;
    let told = Instant::now();
    api.process.signal("INT");
    api.process.wait_for_line("\"stopped\"", Duration::from_secs(5));
    api.process.signal("INT");
    assert_eq!(api.process.wait(Duration::from_secs(5)).code(), Some(130));
    assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
}
