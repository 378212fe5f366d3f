//! `database-migration` as a process.

use std::time::{Duration, Instant};

use test_database::{Program, TestDatabase, TestEngine, execute, on_both_engines};

on_both_engines!(ten_at_once_apply_each_migration_once, status_and_validate_tell_the_truth);

fn migration(database: &TestDatabase) -> Program {
    Program::new("database-migration").env("DATABASE_URL", database.url_text())
}

async fn ten_at_once_apply_each_migration_once(engine: TestEngine) {
    let database = TestDatabase::empty(engine).await;
    let mut processes: Vec<_> = (0..10).map(|_| migration(&database).start()).collect();
    for process in &mut processes {
        let status = process.wait(Duration::from_secs(60));
        assert!(status.success(), "{:?} {:#?}", status, process.log);
    }
    assert_eq!(database.number("select count(*) from refinery_schema_history").await, 3);
    assert_eq!(database.number("select count(distinct version) from refinery_schema_history").await, 3);
}

async fn status_and_validate_tell_the_truth(engine: TestEngine) {
    let database = TestDatabase::empty(engine).await;
    // On SQLite there is no file yet, and asking makes none.
    let expected = if engine == TestEngine::Sqlite { 3 } else { 5 };
    assert_eq!(migration(&database).args(["validate"]).output().status.code(), Some(expected));
    assert!(migration(&database).output().status.success());
    assert!(migration(&database).args(["validate"]).output().status.success());
    let status = String::from_utf8(migration(&database).args(["status"]).output().stdout).unwrap();
    assert!(status.contains("create_tables") && status.contains("\"pending\": []"), "{status}");
    database.execute("update refinery_schema_history set name = 'other' where version = 1").await;
    let refused = migration(&database).args(["validate"]).output();
    assert_eq!(refused.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("V1__other"));
}

/// Holds a lock that the first migration runs into after it has begun: `create table products` waits for it.
pub async fn blocked_half_way(database: &TestDatabase) -> database::Session {
    let mut session = database.session().await;
    execute(session.connection.as_mut(), "begin; create table orders (id bigint)").await;
    session
}

pub async fn wait_for_blocked_backend(database: &TestDatabase) {
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let deadline = Instant::now() + Duration::from_secs(10);
    while database.number(waiting).await == 0 {
        assert!(Instant::now() < deadline, "the migrator never got to the blocked table");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn killed_half_way_the_next_run_completes() {
    let database = TestDatabase::empty(TestEngine::Postgres).await;
    let blocker = blocked_half_way(&database).await;
    let mut process = migration(&database).start();
    wait_for_blocked_backend(&database).await;
    process.signal("KILL");
    process.wait(Duration::from_secs(5));
    drop(blocker);
    let next = migration(&database).output();
    assert!(next.status.success(), "{}", String::from_utf8_lossy(&next.stdout));
    assert_eq!(database.number("select count(*) from refinery_schema_history").await, 3);
}

#[tokio::test]
async fn sigterm_cancels_the_statement_and_ends_within_a_second() {
    let database = TestDatabase::empty(TestEngine::Postgres).await;
    let _blocker = blocked_half_way(&database).await;
    let mut process = migration(&database).start();
    wait_for_blocked_backend(&database).await;
    let told = Instant::now();
    process.signal("TERM");
    assert_eq!(process.wait(Duration::from_secs(5)).code(), Some(143));
    assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
    let left = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'database-migration'";
    assert_eq!(database.number(left).await, 0, "a session was left behind");
}

#[tokio::test]
async fn waits_for_the_database_and_gives_up_in_time() {
    let started = Instant::now();
    let refused = Program::new("database-migration")
        .env("DATABASE_URL", "postgres://shop:hunter2@127.0.0.1:1/orders")
        .args(["--wait-seconds", "1"])
        .output();
    assert_eq!(refused.status.code(), Some(3));
    assert!(started.elapsed() < Duration::from_secs(3));
    let said = String::from_utf8([refused.stdout, refused.stderr].concat()).unwrap();
    assert!(said.contains("not reachable within 1 s"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn a_wrong_setting_is_one_line() {
    for (name, value, line) in [
        (
            "DATABASE_URL",
            "mysql://u:hunter2@h/d",
            "database-migration: DATABASE_URL: must start with postgres://",
        ),
        ("WAIT_SECONDS", "soon", "database-migration: WAIT_SECONDS: \"soon\" is not a number of seconds"),
        ("LOG_FORMAT", "xml", "database-migration: LOG_FORMAT: \"xml\" must be one of json, pretty"),
    ] {
        let refused = Program::new("database-migration").env(name, value).output();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.starts_with(line) && said.trim_end().lines().count() == 1, "{said}");
        assert!(!said.contains("hunter2"));
    }
}

/// A role that the server lets in over TLS only reaches it with the same URL in every program.
#[tokio::test]
async fn tls_is_spoken_where_the_url_asks_for_it() {
    let database = TestDatabase::empty(TestEngine::Postgres).await;
    let url = database.url_text().replace("//postgres@", "//tls_only@");
    let refused = Program::new("database-migration").env("DATABASE_URL", &url).output();
    assert_eq!(refused.status.code(), Some(3), "sslmode=disable must not get in");
    // The server's words, without the line of its source code.
    let said = String::from_utf8(refused.stdout).unwrap();
    assert!(said.contains("no encryption (SQLSTATE 28000)") && !said.contains(" at line "), "{said}");
    let url = url.replace("sslmode=disable", "sslmode=require");
    let migrated = Program::new("database-migration").env("DATABASE_URL", &url).output();
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stdout));
}

/// Since PostgreSQL 15 only its owner may create in the schema public.
#[tokio::test]
async fn missing_rights_are_named_with_what_to_run() {
    for (number, (set_up, advice)) in [
        ("select", "grant usage, create on schema public to ROLE"),
        ("alter role ROLE set search_path = ''", "alter role ROLE set search_path = public"),
        ("alter role ROLE set search_path = nowhere", "alter role ROLE set search_path = public"),
    ]
    .into_iter()
    .enumerate()
    {
        let database = TestDatabase::empty(TestEngine::Postgres).await;
        let role = format!("weak_{}_{number}", std::process::id());
        database.execute(&format!("create role {role} login; {}", set_up.replace("ROLE", &role))).await;
        let url = database.url_text().replacen("postgres@", &format!("{role}@"), 1);
        let output = Program::new("database-migration").env("DATABASE_URL", &url).output();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        database.execute(&format!("drop role {role}")).await;
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(advice) && !said.contains(" at line "), "{said}");
    }
}
