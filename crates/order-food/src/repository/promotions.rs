//! Promotions and the codes of the coupon files.

use async_trait::async_trait;
use database::{Statement, on_engine};
use domain::{CodeSet, Money, Promotion, PromotionKind, Timestamp};
use futures_util::TryStreamExt;
use sqlx::Row as _;

use super::client::{Client, Operation};
use super::{PromotionRepository, RepositoryError};

/// Promotions in SQL.
#[derive(Clone)]
pub struct SqlPromotions(pub Client);

#[derive(sqlx::FromRow)]
struct Row {
    code: String,
    kind: String,
    value: i64,
    min_items: i64,
    min_subtotal_cents: i64,
    max_discount_cents: Option<i64>,
    starts_at: Option<i64>,
    ends_at: Option<i64>,
    max_uses: Option<i64>,
    max_uses_per_client: Option<i64>,
    active: bool,
}

impl TryFrom<Row> for Promotion {
    type Error = RepositoryError;

    fn try_from(row: Row) -> Result<Self, RepositoryError> {
        // The code is worth money: the error does not name it.
        let inconsistent =
            || RepositoryError::Inconsistent { table: "promotions", what: format!("kind {}", row.kind) };
        let limit = |uses: Option<i64>| uses.map(|uses| u32::try_from(uses).unwrap_or(u32::MAX));
        let kind = match row.kind.as_str() {
            "percentage" => PromotionKind::Percentage {
                basis_points: u16::try_from(row.value).map_err(|_| inconsistent())?,
            },
            "fixed" => PromotionKind::Fixed { amount: Money::from_cents(row.value) },
            "free_lowest" => PromotionKind::FreeLowest,
            _ => return Err(inconsistent()),
        };
        Ok(Self {
            code: row.code.parse().map_err(|_| inconsistent())?,
            kind,
            min_items: u32::try_from(row.min_items).unwrap_or(u32::MAX),
            min_subtotal: Money::from_cents(row.min_subtotal_cents),
            max_discount: row.max_discount_cents.map(Money::from_cents),
            starts_at: row.starts_at.map(Timestamp::from_micros),
            ends_at: row.ends_at.map(Timestamp::from_micros),
            max_uses: limit(row.max_uses),
            max_uses_per_client: limit(row.max_uses_per_client),
            active: row.active,
        })
    }
}

const PROMOTIONS: Operation = Operation::same(
    "SELECT",
    "promotions",
    "select code, kind, value, min_items, min_subtotal_cents, max_discount_cents, starts_at, ends_at, \
    max_uses, max_uses_per_client, active from promotions where retired_at is null",
);
const CORPUS: Operation = Operation::same(
    "SELECT",
    "coupon_codes",
    "select code from coupon_codes where generation = (select max(generation) from data_loads \
    where data_set = 'coupons' and published_at is not null)",
);
const CORPUS_SIZE: &str = "select count(*) from coupon_codes where generation = (select max(generation) from data_loads \
    where data_set = 'coupons' and published_at is not null)";
const USED: Operation = Operation {
    name: "SELECT",
    collection: "limit_counters",
    sql: Statement {
        postgres: "select name, used from limit_counters where name in (select jsonb_array_elements_text($1::jsonb))",
        sqlite: "select name, used from limit_counters where name in (select value from json_each($1))",
    },
};

#[async_trait]
impl PromotionRepository for SqlPromotions {
    async fn promotions(&self) -> Result<Vec<Promotion>, RepositoryError> {
        self.0
            .load(&PROMOTIONS, async {
                let mut connection = self.0.reader().await?;
                let sql = PROMOTIONS.sql.on(&connection);
                let rows: Vec<Row> = on_engine!(&mut connection, connection => {
                    sqlx::query_as(sql).fetch_all(&mut **connection).await?
                });
                rows.into_iter().map(Promotion::try_from).collect()
            })
            .await
    }

    async fn corpus(&self) -> Result<CodeSet, RepositoryError> {
        self.0
            .load(&CORPUS, async {
                let mut connection = self.0.reader().await?;
                let sql = CORPUS.sql.on(&connection);
                // One at a time: as texts of their own all of them would take several times the memory of the set.
                Ok(on_engine!(&mut connection, connection => {
                    let codes: i64 = sqlx::query_scalar(CORPUS_SIZE).fetch_one(&mut **connection).await?;
                    let mut set = CodeSet::with_capacity(usize::try_from(codes).unwrap_or_default());
                    let mut rows = sqlx::query(sql).fetch(&mut **connection);
                    while let Some(row) = rows.try_next().await? {
                        set.insert(row.try_get(0)?);
                    }
                    set
                }))
            })
            .await
    }

    async fn used(&self, counters: &[&str]) -> Result<Vec<(String, i64)>, RepositoryError> {
        let counters = serde_json::to_string(counters)
            .map_err(|error| RepositoryError::Other(sqlx::Error::Encode(error.into())))?;
        self.0
            .call(&USED, async {
                let mut connection = self.0.reader().await?;
                let sql = USED.sql.on(&connection);
                Ok(on_engine!(&mut connection, connection => {
                    sqlx::query_as(sql).bind(&counters).fetch_all(&mut **connection).await?
                }))
            })
            .await
    }
}
