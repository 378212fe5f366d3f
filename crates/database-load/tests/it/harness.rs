//! A folder of files beside a database to load them into.

use std::fs;
use std::time::Duration;

use database_load::{Counts, DataSet, Load, LoadError, Options, Outcome, Source, Summary};
use domain::{Pepper, SystemClock};
use tempfile::TempDir;
use test_database::{TestDatabase, TestEngine};

pub const PRODUCTS: &str = "id,name,price,category\n1,Waffle,12.99,Waffle\n2,Salad,8.50,Salad\n";

/// A migrated database, and a folder to load from.
pub struct Shop {
    pub database: TestDatabase,
    pub folder: TempDir,
    pub pepper: &'static str,
    pub options: Options,
}

impl Shop {
    pub async fn new(engine: TestEngine) -> Self {
        let options = Options { lock_wait: Duration::from_secs(10), ..Options::default() };
        Self {
            database: TestDatabase::migrated(engine).await,
            folder: tempfile::tempdir().unwrap(),
            pepper: "pepper",
            options,
        }
    }

    pub fn write(&self, data_set: DataSet, content: impl AsRef<[u8]>) {
        fs::write(self.folder.path().join(data_set.file_name()), content).unwrap();
    }

    pub async fn load(&self) -> Result<Vec<Summary>, LoadError> {
        self.load_from(&Source::Folder(self.folder.path().to_owned())).await
    }

    pub async fn load_from(&self, source: &Source) -> Result<Vec<Summary>, LoadError> {
        let mut session = self.database.session().await;
        let (url, pepper) = (self.database.url(), Pepper::new(self.pepper.as_bytes()));
        let load = Load { url: &url, source, pepper: &pepper, clock: &SystemClock, options: &self.options };
        let summaries = load.run(&mut session.connection).await;
        session.close().await;
        summaries
    }

    /// Loads one file and says what became of its rows.
    pub async fn load_file(&self, data_set: DataSet, content: &str) -> (Outcome, Counts) {
        self.write(data_set, content);
        let summaries = self.load().await.expect("the file is right");
        let summary = summaries.into_iter().find(|summary| summary.data_set == data_set).unwrap();
        (summary.outcome, summary.counts)
    }

    /// Loads a file that is wrong, and returns what the loader says; nothing must have been written.
    pub async fn refused(&self, data_set: DataSet, content: impl AsRef<[u8]>) -> String {
        let rows = "select (select count(*) from products) + (select count(*) from api_keys) + \
                    (select count(*) from promotions) + (select count(*) from orders) + (select count(*) from data_loads)";
        let before = self.database.number(rows).await;
        self.write(data_set, content);
        let error = self.load().await.expect_err("the file is wrong");
        assert!(matches!(error, LoadError::BadData(_)), "{error:?}");
        assert_eq!(self.database.number(rows).await, before, "a refused load wrote something");
        error.to_string()
    }
}

pub const fn counts(
    read: u64,
    added: u64,
    changed: u64,
    retired: u64,
    unchanged: u64,
    not_owned: u64,
) -> Counts {
    Counts { read, added, changed, retired, unchanged, not_owned }
}
