//! Promotions and the codes of the coupon files.

use database::on_engine;
use domain::{CodeSet, Money, Promotion, PromotionKind, Timestamp};
use futures_util::TryStreamExt;
use sqlx::Row as _;

use crate::database::Operation;
use crate::{Database, Known, StorageError};

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

impl Row {
    /// The promotion; `None` if this release does not know its kind.
    fn promotion(self) -> Result<Option<Promotion>, StorageError> {
        // The code is worth money: the error does not name it.
        let inconsistent =
            || StorageError::Inconsistent { table: "promotions", what: format!("kind {}", self.kind) };
        let limit = |uses: Option<i64>| uses.map(|uses| u32::try_from(uses).unwrap_or(u32::MAX));
        let kind = match self.kind.as_str() {
            "percentage" => PromotionKind::Percentage {
                basis_points: u16::try_from(self.value).map_err(|_| inconsistent())?,
            },
            "fixed" => PromotionKind::Fixed { amount: Money::from_cents(self.value) },
            "free_lowest" => PromotionKind::FreeLowest,
            _ => return Ok(None),
        };
        Ok(Some(Promotion {
            code: self.code.parse().map_err(|_| inconsistent())?,
            kind,
            min_items: u32::try_from(self.min_items).unwrap_or(u32::MAX),
            min_subtotal: Money::from_cents(self.min_subtotal_cents),
            max_discount: self.max_discount_cents.map(Money::from_cents),
            starts_at: self.starts_at.map(Timestamp::from_micros),
            ends_at: self.ends_at.map(Timestamp::from_micros),
            max_uses: limit(self.max_uses),
            max_uses_per_client: limit(self.max_uses_per_client),
            active: self.active,
        }))
    }
}

const PROMOTIONS: Operation = Operation::same(
    "SELECT",
    "promotions",
    "select code, kind, value, min_items, min_subtotal_cents, max_discount_cents, starts_at, ends_at, \
    max_uses, max_uses_per_client, active from promotions where retired_at is null",
);
const CODES: Operation = Operation::same(
    "SELECT",
    "coupon_codes",
    "select code from coupon_codes where generation = (select max(generation) from data_loads \
    where data_set = 'coupons' and published_at is not null)",
);
const CODE_COUNT: &str = "select count(*) from coupon_codes where generation = (select max(generation) from data_loads \
    where data_set = 'coupons' and published_at is not null)";
impl Database {
    /// Every promotion that is not retired, inactive ones too.
    pub async fn promotions(&self) -> Result<Known<Vec<Promotion>>, StorageError> {
        self.load(&PROMOTIONS, |mut connection, sql| async move {
            let rows: Vec<Row> = on_engine!(&mut connection, connection => {
                sqlx::query_as(sql).fetch_all(&mut **connection).await?
            });
            let mut known = Known { items: Vec::with_capacity(rows.len()), unknown: 0 };
            for row in rows {
                match row.promotion()? {
                    Some(promotion) => known.items.push(promotion),
                    None => known.unknown += 1,
                }
            }
            Ok(known)
        })
        .await
    }

    /// Every code of the published set.
    pub async fn coupon_codes(&self) -> Result<CodeSet, StorageError> {
        // One at a time: as texts of their own all of them would take several times the memory of the set.
        self.load(&CODES, |mut connection, sql| async move {
            Ok(on_engine!(&mut connection, connection => {
                let codes: i64 = sqlx::query_scalar(CODE_COUNT).fetch_one(&mut **connection).await?;
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
}
