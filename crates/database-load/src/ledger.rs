//! Which generation of each data set is published, and telling the APIs that it changed.

use database::{Connection, ConnectionRef, on_engine};
use domain::Timestamp;

use crate::DataSet;

/// What a file's content hashes to.
pub(crate) type ContentHash = [u8; 32];

/// The hash of what is published now, if anything ever was.
pub(crate) async fn published_hash(
    connection: ConnectionRef<'_>,
    data_set: DataSet,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    const SQL: &str = "select content_hash from data_loads where data_set = $1 and published_at is not null \
                       order by generation desc limit 1";
    on_engine!(connection, connection => sqlx::query_scalar(SQL).bind(data_set.name()).fetch_optional(connection).await)
}

/// How far the first load of an embedded database has come.
pub(crate) enum Seed {
    /// Nothing was ever loaded or made here.
    NeverBegun,
    /// It began and did not end.
    Unfinished,
    /// It ended, or somebody else has loaded or made something first.
    Over,
}

const SEED: &str = "seed";

pub(crate) async fn seed(mut connection: ConnectionRef<'_>) -> Result<Seed, sqlx::Error> {
    const UNFINISHED: &str =
        "select exists (select 1 from data_loads where data_set = $1 and published_at is null)";
    const EMPTY: &str = "select not exists (select 1 from data_loads) and not exists (select 1 from products) \
                         and not exists (select 1 from api_clients)";
    on_engine!(&mut connection, connection => {
        if sqlx::query_scalar(UNFINISHED).bind(SEED).fetch_one(&mut **connection).await? {
            return Ok(Seed::Unfinished);
        }
        let is_empty = sqlx::query_scalar(EMPTY).fetch_one(&mut **connection).await?;
        Ok(if is_empty { Seed::NeverBegun } else { Seed::Over })
    })
}

/// Writes down that the first load begins.
pub(crate) async fn begin_seed(connection: ConnectionRef<'_>, now: Timestamp) -> Result<(), sqlx::Error> {
    const SQL: &str = "insert into data_loads (data_set, generation, content_hash, row_count, started_at) \
                       values ($1, 1, $2, 0, $3)";
    on_engine!(connection, connection => {
        sqlx::query(SQL).bind(SEED).bind(&[0u8; 32][..]).bind(now.micros()).execute(connection).await.map(drop)
    })
}

/// Writes down that the first load has ended.
pub(crate) async fn end_seed(connection: ConnectionRef<'_>, now: Timestamp) -> Result<(), sqlx::Error> {
    const SQL: &str = "update data_loads set published_at = $2 where data_set = $1";
    on_engine!(connection, connection => {
        sqlx::query(SQL).bind(SEED).bind(now.micros()).execute(connection).await.map(drop)
    })
}

/// Writes down a new generation as published, within the transaction that wrote its rows.
pub(crate) async fn publish(
    mut connection: ConnectionRef<'_>,
    data_set: DataSet,
    hash: &ContentHash,
    rows: u64,
    started_at: Timestamp,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    const RECORD: &str = "insert into data_loads (data_set, generation, content_hash, row_count, started_at, published_at) \
                          select $1, coalesce(max(generation), 0) + 1, $2, $3, $4, $5 from data_loads where data_set = $1";
    let tell = match data_set {
        DataSet::Products => Some("update change_counters set menu = menu + 1"),
        DataSet::Users => Some("update change_counters set api_keys = api_keys + 1"),
        DataSet::Promotions => Some("update change_counters set promotions = promotions + 1"),
        // Nothing keeps orders in memory; coupons are published by generation.
        DataSet::Orders | DataSet::Coupons => None,
    };
    on_engine!(&mut connection, connection => {
        sqlx::query(RECORD)
            .bind(data_set.name())
            .bind(&hash[..])
            .bind(i64::try_from(rows).unwrap_or(i64::MAX))
            .bind(started_at.micros())
            .bind(now.micros())
            .execute(&mut **connection)
            .await?;
        if let Some(tell) = tell {
            sqlx::query(tell).execute(&mut **connection).await?;
        }
    });
    Ok(())
}

/// The generation of coupon codes that is published now; 0 if none ever was.
pub(crate) async fn published_generation(connection: ConnectionRef<'_>) -> Result<i64, sqlx::Error> {
    const SQL: &str = "select coalesce(max(generation), 0) from data_loads where data_set = 'coupons' and published_at is not null";
    on_engine!(connection, connection => sqlx::query_scalar(SQL).fetch_one(connection).await)
}

/// Writes down that a generation of coupon codes is being written, and returns its number.
pub(crate) async fn begin_generation(
    connection: &mut Connection,
    hash: &ContentHash,
    now: Timestamp,
) -> Result<i64, sqlx::Error> {
    const SQL: &str = "insert into data_loads (data_set, generation, content_hash, row_count, started_at) \
                       select 'coupons', coalesce(max(generation), 0) + 1, $1, 0, $2 from data_loads \
                       where data_set = 'coupons' returning generation";
    on_engine!(connection, connection => {
        sqlx::query_scalar(SQL).bind(&hash[..]).bind(now.micros()).fetch_one(connection).await
    })
}

/// Publishes a generation of coupon codes whose rows are all there.
pub(crate) async fn publish_generation(
    connection: &mut Connection,
    generation: i64,
    rows: u64,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    const PUBLISH: &str = "update data_loads set published_at = $2, row_count = $3 where data_set = 'coupons' and generation = $1";
    let mut transaction = connection.begin_write().await?;
    on_engine!(transaction.connection(), connection => {
        let query = sqlx::query(PUBLISH).bind(generation).bind(now.micros());
        query.bind(i64::try_from(rows).unwrap_or(i64::MAX)).execute(&mut *connection).await?;
        sqlx::query("update change_counters set coupons = coupons + 1").execute(&mut *connection).await?;
    });
    transaction.commit().await
}
