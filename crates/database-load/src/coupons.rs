//! The codes of the coupon files. The set is written under a new generation in small transactions; one row publishes it.

use coupon_corpus::{Code, Corpus, CorpusError};
use database::{Connection, ConnectionRef, Statement, on_engine};
use domain::Clock;

use crate::ledger::{self, ContentHash};
use crate::{Counts, LoadError};

const ROWS_A_TRANSACTION: usize = 1000;

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
    corpus: Corpus,
    content_hash: &ContentHash,
    clock: &dyn Clock,
) -> Result<Counts, LoadError> {
    let previous = ledger::published_generation(connection.as_mut()).await?;
    remove_all_but(connection, previous).await?;
    let generation = ledger::begin_generation(connection, content_hash, clock.now()).await?;
    let insert = INSERT.on(connection);
    let read = corpus.codes.found();
    let mut codes = corpus.codes.peekable();
    while codes.peek().is_some() {
        let rows = rows(codes.by_ref().take(ROWS_A_TRANSACTION))?;
        on_engine!(&mut *connection, connection => {
            sqlx::query(insert).bind(generation).bind(rows).execute(connection).await.map(drop)
        })?;
    }
    let unchanged = number(connection.as_mut(), UNCHANGED, &[generation, previous]).await?;
    let before = number(connection.as_mut(), COUNT, &[previous]).await?;
    ledger::publish_generation(connection, generation, read, clock.now()).await?;
    remove_all_but(connection, generation).await?;
    Ok(Counts { read, added: read - unchanged, retired: before - unchanged, unchanged, ..Counts::default() })
}

/// As one JSON text.
fn rows(codes: impl Iterator<Item = Result<(Code, u16), CorpusError>>) -> Result<String, LoadError> {
    let rows = codes.map(|code| code.map(|(code, files)| (code.to_string(), files)));
    let rows = rows.collect::<Result<Vec<_>, CorpusError>>()?;
    Ok(serde_json::to_string(&rows).map_err(|error| sqlx::Error::Encode(error.into()))?)
}

/// The number of codes that are published now.
pub(crate) async fn published(mut connection: ConnectionRef<'_>) -> Result<u64, sqlx::Error> {
    let generation = ledger::published_generation(connection.reborrow()).await?;
    number(connection, COUNT, &[generation]).await
}

/// What a query counts, with these generations as its parameters.
pub(crate) async fn number(
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
