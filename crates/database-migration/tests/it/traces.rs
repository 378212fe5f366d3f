//! What a collector receives of a migration.

use std::time::{Duration, Instant};

use test_database::handbook::table;
use test_database::{Collector, Manner, Program, TestDatabase, TestEngine, on_both_engines, only};

use crate::command::{blocked_half_way, wait_for_blocked_backend};

on_both_engines!(a_migration_is_one_trace);

fn migration(database: &TestDatabase, collector: &Collector) -> Program {
    Program::new("database-migration")
        .env("DATABASE_URL", database.url_text())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
}

async fn a_migration_is_one_trace(engine: TestEngine) {
    let collector = Collector::start(Manner::Takes);
    let database = TestDatabase::empty(engine).await;
    let output = migration(&database, &collector).output();
    assert!(output.status.success());
    let spans = collector.spans();
    let root = only(&spans, "migration.execute");
    assert_eq!(root.resource["service.name"], "database-migration");
    assert_eq!(root.number("process.exit.code"), Some(0));
    for step in ["migration.createTables", "migration.createIndexes"] {
        let step = only(&spans, step);
        assert!(step.is_child_of(root));
        assert_eq!(step.attribute("db.system.name").as_deref(), Some(database.url().engine()));
    }
    let log = String::from_utf8(output.stdout).unwrap();
    let done = log.lines().find(|line| line.contains("\"done\"")).unwrap();
    assert!(done.contains(&format!("\"trace_id\":\"{}\"", root.trace_id())), "{done}");

    let mut names: Vec<_> = spans.iter().map(|span| span.span.name.clone()).collect();
    let mut documented: Vec<_> = table("telemetry.md", "### Spans of database-migration");
    names.sort();
    documented.sort();
    assert!(names.iter().eq(documented.iter().map(|row| &row[0])), "{names:?}");

    let again = migration(&database, &collector).output();
    assert!(again.status.success());
    let names: Vec<_> = collector.spans()[spans.len()..].iter().map(|span| span.span.name.clone()).collect();
    assert_eq!(names, ["migration.execute"], "nothing to do");
}

#[tokio::test]
async fn a_failure_and_a_signal_are_told() {
    let collector = Collector::start(Manner::Takes);
    let database = TestDatabase::empty(TestEngine::Postgres).await;
    {
        let _blocker = blocked_half_way(&database).await;
        let mut process = migration(&database, &collector).start();
        wait_for_blocked_backend(&database).await;
        process.signal("TERM");
        assert_eq!(process.wait(Duration::from_secs(5)).code(), Some(143));
    }
    let spans = collector.spans();
    assert_eq!(only(&spans, "migration.execute").number("process.exit.code"), Some(143));
    assert!(only(&spans, "migration.createTables").is_child_of(only(&spans, "migration.execute")));

    database.execute("create table orders (id bigint)").await;
    assert_eq!(migration(&database, &collector).output().status.code(), Some(1));
    let spans = collector.spans().split_off(spans.len());
    for name in ["migration.execute", "migration.createTables"] {
        let status = only(&spans, name).span.status.clone().unwrap();
        assert_eq!(status.code, 2, "{name} failed");
    }
    assert_eq!(only(&spans, "migration.execute").attribute("error.type").as_deref(), Some("1"));
}

#[tokio::test]
async fn a_collector_that_takes_nothing_delays_the_end_by_seconds_and_changes_nothing() {
    let database = TestDatabase::empty(TestEngine::Sqlite).await;
    let collector = Collector::start(Manner::BlackHole);
    let started = Instant::now();
    assert!(migration(&database, &collector).output().status.success());
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    let away = migration(&database, &collector).env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    let started = Instant::now();
    assert!(away.output().status.success());
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}
