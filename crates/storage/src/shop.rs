//! The row `shop`: what all processes must agree on.

use database::{Statement, on_engine};
use domain::{Currency, Shop};
use serde_json::Value;

use crate::database::Operation;
use crate::{Database, Known, StorageError};

const SHOP: Operation = Operation {
    name: "SELECT",
    collection: "shop",
    sql: Statement {
        postgres: "select document::text from shop where id = 1",
        sqlite: "select document from shop where id = 1",
    },
};

/// Reads the members that this release knows. A value that it cannot read, as a newer release may have written it, counts
/// as unknown, and the default holds.
fn read(document: &Value) -> Known<Shop> {
    let mut unknown = 0;
    let defaults = Shop::default();
    let shop = Shop {
        currency: member(document, "currency", &mut unknown, Currency::parse).unwrap_or(defaults.currency),
        time_zone: member(document, "timeZone", &mut unknown, time_zone).unwrap_or(defaults.time_zone),
        day_begins_at_minutes: member(document, "dayBeginsAt", &mut unknown, Shop::parse_time_of_day)
            .unwrap_or(defaults.day_begins_at_minutes),
    };
    Known { items: shop, unknown }
}

fn member<T>(
    document: &Value,
    name: &str,
    unknown: &mut usize,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let value = document.get(name).filter(|value| !value.is_null())?;
    let parsed = value.as_str().and_then(parse);
    *unknown += usize::from(parsed.is_none());
    parsed
}

fn time_zone(text: &str) -> Option<Box<str>> {
    (!text.is_empty()).then(|| text.into())
}

impl Database {
    /// The settings of the shop, or the defaults where there is no row.
    pub async fn shop(&self) -> Result<Known<Shop>, StorageError> {
        let document: Option<String> = self
            .read(&SHOP, |mut connection, sql| async move {
                Ok(on_engine!(&mut connection, connection => {
                    sqlx::query_scalar(sql).fetch_optional(&mut **connection).await?
                }))
            })
            .await?;
        let Some(document) = document else { return Ok(Known { items: Shop::default(), unknown: 0 }) };
        let document = serde_json::from_str(&document);
        Ok(document.map_or(Known { items: Shop::default(), unknown: 1 }, |document| read(&document)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_have_defaults_and_those_of_a_newer_release_are_passed_over() {
        assert_eq!(read(&json!({})), Known { items: Shop::default(), unknown: 0 });
        let newer = json!({"currency": "EUR", "timeZone": "Europe/Berlin", "dayBeginsAt": "05:30", "kitchen": {"since": 1}});
        let shop = read(&newer).items;
        assert_eq!(
            (shop.currency.as_str(), &*shop.time_zone, shop.day_begins_at_minutes),
            ("EUR", "Europe/Berlin", 330)
        );
        let unreadable = json!({"currency": {"code": "EUR"}, "timeZone": "", "dayBeginsAt": "noon"});
        assert_eq!(read(&unreadable), Known { items: Shop::default(), unknown: 3 });
    }
}
