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
/// as unknown, and what is the case without the member holds.
fn read(document: &Value) -> Known<Shop> {
    let mut known = Known { items: Shop::default(), unknown: 0 };
    let mut member = |name: &str, set: &mut dyn FnMut(&mut Shop, &str) -> Option<()>| {
        let is_set = match document.get(name) {
            None | Some(Value::Null) => true,
            Some(value) => value.as_str().is_some_and(|text| set(&mut known.items, text).is_some()),
        };
        known.unknown += usize::from(!is_set);
    };
    member("currency", &mut |shop, text| Some(shop.currency = Currency::parse(text)?));
    member("timeZone", &mut |shop, text| {
        Some(shop.time_zone = Some(text).filter(|text| !text.is_empty())?.into())
    });
    member("dayBeginsAt", &mut |shop, text| {
        Some(shop.day_begins_at_minutes = Shop::parse_time_of_day(text)?)
    });
    known
}

impl Database {
    /// The settings of the shop.
    pub async fn shop(&self) -> Result<Known<Shop>, StorageError> {
        let document: String = self
            .read(&SHOP, |mut connection, sql| async move {
                Ok(on_engine!(&mut connection, connection => {
                    sqlx::query_scalar(sql).fetch_one(&mut **connection).await?
                }))
            })
            .await?;
        let document = serde_json::from_str(&document)
            .map_err(|error| StorageError::Inconsistent { table: "shop", what: error.to_string() })?;
        Ok(read(&document))
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
