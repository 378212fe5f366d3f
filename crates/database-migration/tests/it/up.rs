//! `Migrator::up` and `Migrator::state`.

use std::time::Duration;

use database_migration::{MigrationError, Migrator};
use test_database::{TestDatabase, TestEngine, on_both_engines};

const MIGRATOR: Migrator = Migrator { lock_wait: Duration::from_secs(10) };

on_both_engines!(
    applies_each_migration_once,
    a_newer_schema_is_fine,
    an_unknown_migration_is_named,
    a_changed_migration_is_named,
    a_failing_migration_leaves_nothing_behind,
);

async fn applies_each_migration_once(engine: TestEngine) {
    let database = TestDatabase::empty(engine).await;
    let mut session = database.session().await;
    let applied = MIGRATOR.up(&database.url(), &mut session.connection).await.unwrap();
    assert_eq!(
        applied.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(),
        ["create_tables", "create_indexes", "prepare_shop"]
    );
    assert!(MIGRATOR.up(&database.url(), &mut session.connection).await.unwrap().is_empty());
    assert_eq!(database.number("select count(*) from refinery_schema_history").await, 3);
    let state = Migrator::state(session.connection.as_mut()).await.unwrap();
    assert_eq!(
        (state.applied.len(), state.pending.len(), state.newer.len(), state.conflicts.len()),
        (3, 0, 0, 0)
    );
}

async fn a_newer_schema_is_fine(engine: TestEngine) {
    let database = TestDatabase::migrated(engine).await;
    database
        .execute("insert into refinery_schema_history values (900, 'later', '2030-01-01T00:00:00Z', '7')")
        .await;
    let mut session = database.session().await;
    assert!(MIGRATOR.up(&database.url(), &mut session.connection).await.unwrap().is_empty());
    assert_eq!(Migrator::state(session.connection.as_mut()).await.unwrap().newer.len(), 1);
}

async fn an_unknown_migration_is_named(engine: TestEngine) {
    let database = TestDatabase::migrated(engine).await;
    database
        .execute("insert into refinery_schema_history values (0, 'strange', '2020-01-01T00:00:00Z', '7')")
        .await;
    let mut session = database.session().await;
    let error = MIGRATOR.up(&database.url(), &mut session.connection).await.unwrap_err();
    assert!(matches!(error, MigrationError::Conflicts(_)));
    assert!(error.to_string().contains("V0__strange"), "{error}");
}

async fn a_changed_migration_is_named(engine: TestEngine) {
    let database = TestDatabase::migrated(engine).await;
    database.execute("update refinery_schema_history set checksum = '7' where version = 2").await;
    let mut session = database.session().await;
    let error = MIGRATOR.up(&database.url(), &mut session.connection).await.unwrap_err();
    assert!(error.to_string().contains("V2__create_indexes"), "{error}");
}

async fn a_failing_migration_leaves_nothing_behind(engine: TestEngine) {
    let database = TestDatabase::empty(engine).await;
    // Stands in the way of a table that the first migration makes after several others.
    database.execute("create table idempotency_keys (id bigint)").await;
    let mut session = database.session().await;
    let error = MIGRATOR.up(&database.url(), &mut session.connection).await.unwrap_err();
    assert!(matches!(error, MigrationError::Migration(_)), "{error:?}");
    let tables = match engine {
        TestEngine::Postgres => {
            "select count(*) from pg_tables where schemaname = 'public' and tablename = 'products'"
        }
        TestEngine::Sqlite => "select count(*) from sqlite_master where name = 'products'",
    };
    assert_eq!(database.number(tables).await, 0);
    drop(session);
    database.execute("drop table idempotency_keys").await;
    let mut session = database.session().await;
    assert_eq!(MIGRATOR.up(&database.url(), &mut session.connection).await.unwrap().len(), 3);
}
