//! The codes of the coupon files. The set is written under a new generation in small transactions; one row publishes it.

use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use coupon_corpus::{Corpus, CouponSource, codes_in_at_least};
use database::{Connection, ConnectionRef, Statement, on_engine};
use domain::Clock;
use sha2::{Digest, Sha256};

use crate::ledger::{self, ContentHash};
use crate::{Counts, LoadError};

/// In how many files a code must stand to be valid.
const MIN_FILES: u32 = 2;
const ROWS_A_TRANSACTION: usize = 1000;

/// One coupon file.
#[derive(Debug, Clone)]
pub(crate) enum CouponFile {
    Path(PathBuf),
    CompiledIn(&'static str, &'static [u8]),
}

impl CouponFile {
    fn name(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::CompiledIn(name, _) => (*name).to_owned(),
        }
    }

    fn open(&self) -> Result<Box<dyn Read + Send>, LoadError> {
        match self {
            Self::Path(path) => {
                let file = File::open(path).map_err(|error| LoadError::Unreadable(path.clone(), error))?;
                Ok(Box::new(file))
            }
            Self::CompiledIn(_, bytes) => Ok(Box::new(Cursor::new(*bytes))),
        }
    }
}

/// The compiled-in samples.
pub(crate) fn compiled_in() -> Vec<CouponFile> {
    vec![
        CouponFile::CompiledIn("couponbase1.gz", include_bytes!("../../../seed/coupons/couponbase1.gz")),
        CouponFile::CompiledIn("couponbase2.gz", include_bytes!("../../../seed/coupons/couponbase2.gz")),
        CouponFile::CompiledIn("couponbase3.gz", include_bytes!("../../../seed/coupons/couponbase3.gz")),
    ]
}

/// The files in a folder, by name; hidden ones and text about the others are none of them.
pub(crate) fn in_folder(folder: &Path) -> Result<Option<Vec<CouponFile>>, LoadError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LoadError::Unreadable(folder.to_owned(), error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| LoadError::Unreadable(folder.to_owned(), error))?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.is_file() && !is_hidden && path.extension().is_none_or(|extension| extension != "md") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(if paths.is_empty() { None } else { Some(paths.into_iter().map(CouponFile::Path).collect()) })
}

/// A hash over all files, in their order.
pub(crate) fn hash(files: &[CouponFile], format: u8) -> Result<ContentHash, LoadError> {
    let mut all = Sha256::new_with_prefix([format]);
    let mut buffer = vec![0; 1024 * 1024];
    for file in files {
        let mut content = file.open()?;
        let mut hash = Sha256::new();
        loop {
            let read = content
                .read(&mut buffer)
                .map_err(|error| LoadError::Unreadable(file.name().into(), error))?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
        }
        all.update(hash.finalize());
    }
    Ok(all.finalize().into())
}

/// Reads the files.
pub(crate) fn digest(files: &[CouponFile]) -> Result<Corpus, LoadError> {
    let started = Instant::now();
    let source = |file: &CouponFile| Ok(CouponSource { name: file.name(), content: file.open()? });
    let sources = files.iter().map(source).collect::<Result<Vec<_>, LoadError>>()?;
    let corpus = codes_in_at_least(MIN_FILES, sources)?;
    tracing::info!(
        files = files.len(),
        lines = corpus.lines,
        malformed_lines = corpus.malformed_lines,
        codes = corpus.codes.len(),
        duration = ?started.elapsed(),
        "coupon files read"
    );
    Ok(corpus)
}

const INSERT: Statement = Statement {
    postgres: "insert into coupon_codes (generation, code, files) select $1, value ->> 0, (value ->> 1)::bigint \
               from jsonb_array_elements($2::jsonb)",
    sqlite: "insert into coupon_codes (generation, code, files) select $1, value ->> 0, value ->> 1 from json_each($2)",
};
const UNCHANGED: &str = "select count(*) from coupon_codes n join coupon_codes o on o.code = n.code \
                         where n.generation = $1 and o.generation = $2";
const COUNT: &str = "select count(*) from coupon_codes where generation = $1";
const REMOVE: Statement = Statement {
    postgres: "delete from coupon_codes where ctid in (select ctid from coupon_codes where generation <> $1 limit 10000)",
    sqlite: "delete from coupon_codes where (generation, code) in \
             (select generation, code from coupon_codes where generation <> $1 limit 10000)",
};

/// Publishes the set. A run that ends half-way leaves the old set published, and rows that the next run removes.
pub(crate) async fn publish(
    connection: &mut Connection,
    corpus: &Corpus,
    content_hash: &ContentHash,
    clock: &dyn Clock,
) -> Result<Counts, LoadError> {
    let previous = ledger::published_generation(connection.as_mut()).await?;
    remove_all_but(connection, previous).await?;
    let generation = ledger::begin_generation(connection, content_hash, clock.now()).await?;
    let insert = INSERT.on(connection);
    for codes in corpus.codes.chunks(ROWS_A_TRANSACTION) {
        let rows = serde_json::to_string(codes).map_err(|error| sqlx::Error::Encode(error.into()))?;
        on_engine!(&mut *connection, connection => {
            sqlx::query(insert).bind(generation).bind(rows).execute(connection).await.map(drop)
        })?;
    }
    let unchanged = number(connection.as_mut(), UNCHANGED, &[generation, previous]).await?;
    let before = number(connection.as_mut(), COUNT, &[previous]).await?;
    ledger::publish_generation(connection, generation, corpus.codes.len() as u64, clock.now()).await?;
    remove_all_but(connection, generation).await?;
    let read = corpus.codes.len() as u64;
    Ok(Counts { read, added: read - unchanged, retired: before - unchanged, unchanged, ..Counts::default() })
}

async fn number(
    connection: ConnectionRef<'_>,
    sql: &'static str,
    generations: &[i64],
) -> Result<u64, sqlx::Error> {
    let number: i64 = on_engine!(connection, connection => {
        let query = generations.iter().fold(sqlx::query_scalar(sql), |query, generation| query.bind(*generation));
        query.fetch_one(connection).await?
    });
    Ok(u64::try_from(number).unwrap_or_default())
}

/// In small transactions: readers of the published set are not in the way.
async fn remove_all_but(connection: &mut Connection, generation: i64) -> Result<(), sqlx::Error> {
    let remove = REMOVE.on(connection);
    loop {
        let removed = on_engine!(&mut *connection, connection => {
            sqlx::query(remove).bind(generation).execute(connection).await?.rows_affected()
        });
        if removed == 0 {
            return Ok(());
        }
    }
}
