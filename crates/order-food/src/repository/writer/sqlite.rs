//! A batch on SQLite: as few statements as its orders allow.
//!
//! Each call into SQLite is handed to the connection's thread and back, so rows go in many at a time, as parameters of
//! one statement. Its sizes are few, so that statements stay prepared; rows that are not needed are null.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, Connection as _, SqliteConnection};
use uuid::Uuid;

use super::super::{NewOrder, StoredAnswer};
use super::batch::{AnswerRow, Limits, Outcomes, all_stored, conflicts, counter_names, hand_out, outcomes};

/// What goes into a table: the text before and after the rows, and how many parameters a row has.
struct Insert {
    head: &'static str,
    columns: usize,
    tail: &'static str,
}

const ORDERS: Insert = Insert {
    head: "insert into orders (id, client_id, status, version, created_at, updated_at, snapshot) \
           select column1, column2, 'placed', 1, column3, column3, column4 from (values ",
    columns: 4,
    tail: ") where column1 is not null on conflict (id) do nothing",
};
const KEYS: Insert = Insert {
    head: "insert into idempotency_keys (order_id, client_id, created_at, key, request_hash, response) \
           select column1, column2, column3, column4, column5, column6 from (values ",
    columns: 6,
    tail: ") where column1 is not null on conflict do nothing",
};
const REDEMPTIONS: Insert = Insert {
    head: "insert into promotion_redemptions (order_id, client_id, created_at, promotion_code, discount_cents) \
           select column1, column2, column3, column4, column5 from (values ",
    columns: 5,
    tail: ") where column1 is not null on conflict do nothing returning order_id",
};
const USED: &str = "select name, used from limit_counters where name in (select value from json_each($1))";
const COUNT: &str = "insert into limit_counters (name, used) select key, value from json_each($1) where true \
    on conflict (name) do update set used = used + excluded.used";
const ANSWERS: &str = "select k.client_id, k.key, k.request_hash, k.order_id, k.response from json_each($1) w \
    join idempotency_keys k on k.client_id = w.value ->> 0 and k.key = w.value ->> 1";

impl Insert {
    /// For at most [`super::OrderWriter::BATCH_ORDERS`] rows.
    const SIZES: [usize; 6] = [1, 4, 16, 48, 96, super::OrderWriter::BATCH_ORDERS];

    /// The statement for `rows` rows and its parameters; `bind` adds those of each row.
    fn of<'o>(
        &self,
        orders: &[&'o NewOrder],
        bind: impl Fn(&mut SqliteArguments, &'o NewOrder) -> Result<(), sqlx::error::BoxDynError>,
    ) -> Result<(AssertSqlSafe<String>, SqliteArguments), sqlx::Error> {
        let size = Self::SIZES.into_iter().find(|size| *size >= orders.len()).unwrap_or(orders.len());
        let row = format!("({})", vec!["?"; self.columns].join(","));
        // Nothing of an order is in the text.
        let sql = AssertSqlSafe(format!("{}{}{}", self.head, vec![row; size].join(","), self.tail));
        let mut arguments = SqliteArguments::default();
        arguments.reserve(size * self.columns, 0);
        for order in orders {
            bind(&mut arguments, order).map_err(sqlx::Error::Encode)?;
        }
        for _ in orders.len() * self.columns..size * self.columns {
            arguments.add(None::<i64>).map_err(sqlx::Error::Encode)?;
        }
        Ok((sql, arguments))
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

pub(super) async fn store(
    connection: &mut SqliteConnection,
    orders: &[&NewOrder],
) -> Result<Outcomes, sqlx::Error> {
    if orders.iter().all(|order| order.is_plain()) {
        store_orders(connection, orders).await?;
        return Ok(all_stored(orders));
    }
    let mut transaction = connection.begin_with("begin immediate").await?;
    let limits = limits(&mut transaction, orders).await?;
    let fitting = orders.iter().enumerate().filter(|(position, _)| !limits.refused.contains_key(position));
    let fitting: Vec<&NewOrder> = fitting.map(|(_, order)| *order).collect();
    let lost = claim_keys(&mut transaction, &fitting).await?;
    let free: Vec<&NewOrder> =
        fitting.into_iter().filter(|order| !lost.contains(&order.order.id.uuid())).collect();
    store_orders(&mut transaction, &free).await?;
    redeem(&mut transaction, &free, &limits).await?;
    transaction.commit().await?;
    let stored = free.iter().map(|order| order.order.id.uuid()).collect();
    let open = conflicts(orders, &stored);
    let answers = if open.is_empty() { HashMap::new() } else { answers(connection, &open).await? };
    Ok(outcomes(orders, limits.refused, &stored, &answers))
}

async fn store_orders(connection: &mut SqliteConnection, orders: &[&NewOrder]) -> Result<(), sqlx::Error> {
    if orders.is_empty() {
        return Ok(());
    }
    let (sql, arguments) = ORDERS.of(orders, |arguments, new| {
        arguments.add(new.order.id.uuid())?;
        arguments.add(new.order.client_id.get())?;
        arguments.add(new.order.created_at.micros())?;
        arguments.add(new.snapshot_json.as_str())
    })?;
    sqlx::query_with(sql, arguments).execute(connection).await.map(drop)
}

/// Claims the keys of orders; returns the orders whose key belongs to another one.
async fn claim_keys(
    connection: &mut SqliteConnection,
    orders: &[&NewOrder],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let keyed: Vec<&NewOrder> = orders.iter().copied().filter(|order| order.idempotency.is_some()).collect();
    let mut lost = HashSet::new();
    if keyed.is_empty() {
        return Ok(lost);
    }
    let (sql, arguments) = KEYS.of(&keyed, |arguments, new| {
        let Some(claim) = &new.idempotency else { return Ok(()) };
        arguments.add(new.order.id.uuid())?;
        arguments.add(new.order.client_id.get())?;
        arguments.add(new.order.created_at.micros())?;
        arguments.add(claim.key.as_str())?;
        arguments.add(&claim.request_hash[..])?;
        arguments.add(&claim.response[..])
    })?;
    let claimed = sqlx::query_with(sql, arguments).execute(&mut *connection).await?.rows_affected();
    if claimed == keyed.len() as u64 {
        return Ok(lost);
    }
    let keys: Vec<_> = conflicts(&keyed, &HashSet::new());
    let answers = answers(connection, &keys).await?;
    for order in keyed {
        let id = order.order.id.uuid();
        let key = order.idempotency.as_ref().map(|claim| claim.key.as_str().to_owned()).unwrap_or_default();
        let holder = answers.get(&(order.order.client_id.get(), key)).map(|answer| answer.order_id);
        if holder != Some(id) {
            lost.insert(id);
        }
    }
    Ok(lost)
}

/// Writes down the uses of promotions and counts those that are new: an earlier attempt may have counted some.
async fn redeem(
    connection: &mut SqliteConnection,
    orders: &[&NewOrder],
    limits: &Limits,
) -> Result<(), sqlx::Error> {
    let redeeming: Vec<&NewOrder> =
        orders.iter().copied().filter(|order| order.redemption.is_some()).collect();
    if redeeming.is_empty() {
        return Ok(());
    }
    let (sql, arguments) = REDEMPTIONS.of(&redeeming, |arguments, new| {
        let Some(redemption) = &new.redemption else { return Ok(()) };
        arguments.add(new.order.id.uuid())?;
        arguments.add(new.order.client_id.get())?;
        arguments.add(new.order.created_at.micros())?;
        arguments.add(redemption.code.as_str())?;
        arguments.add(redemption.discount.cents())
    })?;
    let new: Vec<Uuid> = sqlx::query_scalar_with(sql, arguments).fetch_all(&mut *connection).await?;
    let new: HashSet<Uuid> = new.into_iter().collect();
    let mut uses: BTreeMap<&str, i64> = BTreeMap::new();
    for (_, counter) in limits.uses.iter().filter(|(id, _)| new.contains(id)) {
        *uses.entry(counter).or_default() += 1;
    }
    if uses.is_empty() {
        return Ok(());
    }
    sqlx::query(COUNT).bind(json(&uses)?).execute(connection).await.map(drop)
}

async fn limits(connection: &mut SqliteConnection, orders: &[&NewOrder]) -> Result<Limits, sqlx::Error> {
    let counters = counter_names(orders);
    if counters.is_empty() {
        return Ok(Limits::default());
    }
    let used: Vec<(String, i64)> = sqlx::query_as(USED).bind(json(&counters)?).fetch_all(connection).await?;
    Ok(hand_out(orders, used.into_iter().collect()))
}

async fn answers(
    connection: &mut SqliteConnection,
    keys: &[(i64, &str)],
) -> Result<HashMap<(i64, String), StoredAnswer>, sqlx::Error> {
    let rows = sqlx::query_as(ANSWERS).bind(json(keys)?).fetch_all(connection).await?;
    Ok(rows.into_iter().map(AnswerRow::keyed).collect())
}

pub(super) async fn stored_ids(
    connection: &mut SqliteConnection,
    ids: &[Uuid],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let ids: Vec<_> = ids.iter().map(|id| id.simple().to_string()).collect();
    let found: Vec<Uuid> =
        sqlx::query_scalar("select id from orders where id in (select unhex(value) from json_each($1))")
            .bind(json(&ids)?)
            .fetch_all(connection)
            .await?;
    Ok(found.into_iter().collect())
}
