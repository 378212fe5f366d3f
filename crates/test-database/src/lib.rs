//! A fresh database for every test, on both engines, gone when the test ends; and the programs for tests that need
//! real processes, and a collector of their spans. Only for tests: everything here panics with a line that says what to do.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "only tests use this crate"
)]

mod collector;
pub mod handbook;
mod programs;

use std::time::Duration;

use database::{ConnectionRef, DatabaseUrl, Engine, Session, on_engine};
use database_migration::Migrator;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

pub use collector::{Collector, Manner, Received, only};
pub use programs::{Program, Running};

/// Which engine a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestEngine {
    /// The server of `TEST_POSTGRES_URL`.
    Postgres,
    /// A file in a temporary directory.
    Sqlite,
}

/// Makes `#[tokio::test]`s of functions that take a [`TestEngine`], one for each engine.
#[macro_export]
macro_rules! on_both_engines {
    ($($test:ident),+ $(,)?) => {
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::TestEngine::Postgres).await;
            })+
        }
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::TestEngine::Sqlite).await;
            })+
        }
    };
}

/// A database that one test has to itself.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Postgres { admin_url: String, name: String },
    Sqlite { _folder: TempDir },
}

/// The superuser's URL that `scripts/with-postgres.sh` sets.
fn admin_url() -> String {
    std::env::var("TEST_POSTGRES_URL")
        .expect("TEST_POSTGRES_URL is not set: run the tests with ./scripts/test.sh or scripts/with-postgres.sh cargo test")
}

impl TestDatabase {
    /// A database without tables.
    pub async fn empty(engine: TestEngine) -> Self {
        match engine {
            TestEngine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}", folder.path().join("test.db").display());
                Self { url, held: Held::Sqlite { _folder: folder } }
            }
            TestEngine::Postgres => {
                let admin_url = admin_url();
                let name = format!("test_{}", Uuid::now_v7().simple());
                let mut admin = PgConnection::connect(&admin_url).await.expect("the test server answers");
                admin.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
                admin.close().await.unwrap();
                let url = admin_url.replacen("/postgres?", &format!("/{name}?"), 1);
                assert_ne!(url, admin_url, "TEST_POSTGRES_URL must end in /postgres?…");
                Self { url, held: Held::Postgres { admin_url, name } }
            }
        }
    }

    /// A database with this release's tables, and nothing in them.
    pub async fn migrated(engine: TestEngine) -> Self {
        let database = Self::empty(engine).await;
        let mut session = database.session().await;
        let migrator = Migrator { lock_wait: Duration::from_secs(10) };
        migrator.up(&database.url(), &mut session.connection).await.expect("migrations apply");
        session.close().await;
        database
    }

    /// Where it is.
    pub fn url(&self) -> DatabaseUrl {
        self.url.parse().unwrap()
    }

    /// Where it is, as a program is told.
    pub fn url_text(&self) -> &str {
        &self.url
    }

    /// A connection of its own.
    pub async fn session(&self) -> Session {
        Session::open(&self.url(), "test", Duration::from_secs(10)).await.expect("the test database answers")
    }

    /// Runs statements.
    pub async fn execute(&self, sql: &str) {
        let mut session = self.session().await;
        execute(session.connection.as_mut(), sql).await;
        session.close().await;
    }

    /// The number that a query gives.
    pub async fn number(&self, sql: &str) -> i64 {
        let mut session = self.session().await;
        let number = on_engine!(&mut session.connection, connection => {
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await.expect("a number")
        });
        session.close().await;
        number
    }

    /// The texts that a query gives.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let mut session = self.session().await;
        let texts = on_engine!(&mut session.connection, connection => {
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(connection).await.expect("texts")
        });
        session.close().await;
        texts
    }
}

/// Runs statements on a connection.
pub async fn execute(connection: ConnectionRef<'_>, sql: &str) {
    match connection {
        Engine::Postgres(connection) => connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map(drop),
        Engine::Sqlite(connection) => connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map(drop),
    }
    .expect("the statement is right");
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Held::Postgres { admin_url, name } = &self.held else {
            return;
        };
        let (admin_url, name) = (admin_url.clone(), name.clone());
        // Drop cannot await; the test's runtime may be gone as well.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                if let Ok(mut admin) = PgConnection::connect(&admin_url).await {
                    // A server that a test has stopped for good takes its databases with it.
                    let _ = admin
                        .execute(AssertSqlSafe(format!("drop database if exists {name} with (force)")))
                        .await;
                }
            });
        });
        let _ = dropping.join();
    }
}
