//! Promotions.

use std::collections::{HashMap, HashSet};

use database::{ConnectionRef, on_engine};
use domain::coupon::CouponCodeError;
use domain::text::normalized;
use domain::{CouponCode, Money, Promotion, PromotionKind, Timestamp};

use crate::header::{optional, required};
use crate::row::Row;
use crate::table::{File, read};
use crate::{Counts, Fault, LoadError, cell};
use domain::{Named, Spellings};

/// Reads `promotions.csv`.
pub(crate) fn parse(file: &File<'_>) -> Result<Vec<Promotion>, LoadError> {
    let columns = [
        required("code"),
        required("kind"),
        optional("value"),
        optional("min_items"),
        optional("min_subtotal"),
        optional("max_discount"),
        optional("starts_at"),
        optional("ends_at"),
        optional("max_uses"),
        optional("max_uses_per_client"),
        optional("active"),
    ];
    let mut lines = HashMap::new();
    read(file, &columns, |row| {
        let promotion = promotion(row)?;
        // Codes are compared by their letters: the same letters in other bytes are the same code.
        match lines.insert(normalized(promotion.code.as_str()).into_owned(), row.line) {
            None => Ok(promotion),
            Some(earlier) => Err(row.fault("code", format!("stands on line {earlier} already"))),
        }
    })
}

fn promotion(row: &Row<'_>) -> Result<Promotion, Fault> {
    let moment = |column| match row.text(column) {
        None => Ok(None),
        Some(text) => Timestamp::parse_rfc3339(text)
            .map(Some)
            .ok_or_else(|| row.fault(column, "is not a time such as 2026-11-21T04:00:00Z")),
    };
    let (starts_at, ends_at) = (moment("starts_at")?, moment("ends_at")?);
    if starts_at.is_some() && ends_at.is_some() && starts_at >= ends_at {
        return Err(row.fault("ends_at", "is not after starts_at"));
    }
    let code = row.required_text("code", CouponCode::MAX_BYTES)?;
    Ok(Promotion {
        code: code.parse().map_err(|error: CouponCodeError| row.fault("code", error))?,
        kind: kind(row)?,
        min_items: row.whole("min_items")?.unwrap_or(0),
        min_subtotal: row.amount("min_subtotal")?.unwrap_or(Money::ZERO),
        max_discount: row.amount("max_discount")?,
        starts_at,
        ends_at,
        max_uses: row.whole("max_uses")?,
        max_uses_per_client: row.whole("max_uses_per_client")?,
        active: row.truth("active")?.unwrap_or(true),
    })
}

fn kind(row: &Row<'_>) -> Result<PromotionKind, Fault> {
    match cell::name(row.required_text("kind", 20)?).as_str() {
        "percentage" => {
            let percent = row.required_percentage("value")?;
            match u16::try_from(percent.cents()) {
                Ok(basis_points @ 0..=10_000) => Ok(PromotionKind::Percentage { basis_points }),
                _ => Err(row.fault("value", "is above 100 percent")),
            }
        }
        "fixed" => Ok(PromotionKind::Fixed { amount: row.required_amount("value")? }),
        "free_lowest" if row.text("value").is_none() => Ok(PromotionKind::FreeLowest),
        "free_lowest" => Err(row.fault("value", "must be empty for free_lowest")),
        _ => Err(row.fault("kind", "is not a kind of promotion; write percentage, fixed or free_lowest")),
    }
}

/// A promotion as its row says it; two are equal when nothing needs to be written.
#[derive(Clone, PartialEq, Eq, sqlx::FromRow)]
struct Definition {
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

impl From<&Promotion> for Definition {
    fn from(promotion: &Promotion) -> Self {
        let (kind, value) = match promotion.kind {
            PromotionKind::Percentage { basis_points } => ("percentage", i64::from(basis_points)),
            PromotionKind::Fixed { amount } => ("fixed", amount.cents()),
            PromotionKind::FreeLowest => ("free_lowest", 0),
        };
        Self {
            code: promotion.code.as_str().to_owned(),
            kind: kind.to_owned(),
            value,
            min_items: promotion.min_items.into(),
            min_subtotal_cents: promotion.min_subtotal.cents(),
            max_discount_cents: promotion.max_discount.map(Money::cents),
            starts_at: promotion.starts_at.map(Timestamp::micros),
            ends_at: promotion.ends_at.map(Timestamp::micros),
            max_uses: promotion.max_uses.map(i64::from),
            max_uses_per_client: promotion.max_uses_per_client.map(i64::from),
            active: promotion.active,
        }
    }
}

#[derive(sqlx::FromRow)]
struct Stored {
    #[sqlx(flatten)]
    definition: Definition,
    is_ours: bool,
    is_retired: bool,
}

impl Named for Stored {
    fn name(&self) -> &str {
        &self.definition.code
    }

    fn is_retired(&self) -> bool {
        self.is_retired
    }
}

const STORED: &str = "select code, kind, value, min_items, min_subtotal_cents, max_discount_cents, starts_at, ends_at, \
                      max_uses, max_uses_per_client, active, source = 'file' as is_ours, \
                      retired_at is not null as is_retired from promotions";
const STORE: &str = "insert into promotions (code, kind, value, min_items, min_subtotal_cents, max_discount_cents, \
                     starts_at, ends_at, max_uses, max_uses_per_client, active, source, created_at, updated_at) \
                     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'file', $12, $12) \
                     on conflict (code) do update set kind = excluded.kind, value = excluded.value, \
                     min_items = excluded.min_items, min_subtotal_cents = excluded.min_subtotal_cents, \
                     max_discount_cents = excluded.max_discount_cents, starts_at = excluded.starts_at, \
                     ends_at = excluded.ends_at, max_uses = excluded.max_uses, \
                     max_uses_per_client = excluded.max_uses_per_client, active = excluded.active, retired_at = null, \
                     updated_at = excluded.updated_at where promotions.source = 'file'";
const RETIRE: &str =
    "update promotions set retired_at = $2, updated_at = $2 where code = $1 and source = 'file'";

/// Makes the loader's rows say what the file says.
pub(crate) async fn apply(
    mut connection: ConnectionRef<'_>,
    promotions: &[Promotion],
    now: Timestamp,
) -> Result<Counts, sqlx::Error> {
    let stored: Vec<Stored> =
        on_engine!(&mut connection, connection => sqlx::query_as(STORED).fetch_all(&mut **connection).await?);
    let stored = Spellings::new(stored);
    let mut counts = Counts { read: promotions.len() as u64, ..Counts::default() };
    let mut listed: HashSet<String> = HashSet::new();
    for mut definition in promotions.iter().map(Definition::from) {
        let stored = stored.get(&definition.code);
        if let Some(row) = stored {
            // Uses and orders of the promotion are kept under the stored spelling.
            definition.code.clone_from(&row.definition.code);
        }
        listed.insert(definition.code.clone());
        match stored {
            Some(row) if !row.is_ours => {
                tracing::warn!("a promotion was left alone: not made by a load");
                counts.not_owned += 1;
                continue;
            }
            Some(row) if !row.is_retired && row.definition == definition => {
                counts.unchanged += 1;
                continue;
            }
            Some(row) if !row.is_retired => counts.changed += 1,
            _ => counts.added += 1,
        }
        on_engine!(&mut connection, connection => {
            sqlx::query(STORE)
                .bind(&definition.code)
                .bind(&definition.kind)
                .bind(definition.value)
                .bind(definition.min_items)
                .bind(definition.min_subtotal_cents)
                .bind(definition.max_discount_cents)
                .bind(definition.starts_at)
                .bind(definition.ends_at)
                .bind(definition.max_uses)
                .bind(definition.max_uses_per_client)
                .bind(definition.active)
                .bind(now.micros())
                .execute(&mut **connection)
                .await?;
        });
    }
    let is_left = |row: &&Stored| row.is_ours && !row.is_retired && !listed.contains(&row.definition.code);
    for row in stored.iter().filter(is_left) {
        on_engine!(&mut connection, connection => {
            sqlx::query(RETIRE).bind(&row.definition.code).bind(now.micros()).execute(&mut **connection).await?;
        });
        counts.retired += 1;
    }
    Ok(counts)
}
