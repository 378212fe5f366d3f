//! A batch on SQLite: one JSON text in, as few statements as its orders allow.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::{Connection as _, SqliteConnection};
use uuid::Uuid;

use super::super::{NewOrder, StoredAnswer};
use super::batch::{AnswerRow, Limits, Outcomes, all_stored, conflicts, counter_names, hand_out, outcomes};

const STORE_PLAIN: &str = "insert into orders (id, client_id, status, version, created_at, updated_at, snapshot) \
    select unhex(value ->> 'id'), value ->> 'client', 'placed', 1, value ->> 'at', value ->> 'at', value -> 'snapshot' \
    from json_each($1) where true on conflict (id) do nothing";
const CLAIM_KEYS: &str = "insert into idempotency_keys (client_id, key, request_hash, order_id, response, created_at) \
    select value ->> 'client', value ->> 'key', unhex(value ->> 'hash'), unhex(value ->> 'id'), \
    cast(value ->> 'response' as blob), value ->> 'at' from json_each($1) where value ->> 'key' is not null \
    on conflict do nothing";
macro_rules! store {
    ($end:literal) => {
        concat!(
            "insert into orders (id, client_id, status, version, created_at, updated_at, snapshot) \
             select unhex(value ->> 'id'), value ->> 'client', 'placed', 1, value ->> 'at', value ->> 'at', \
             value -> 'snapshot' from json_each($1) where value ->> 'key' is null or exists \
             (select 1 from idempotency_keys k where k.client_id = value ->> 'client' and k.key = value ->> 'key' \
             and k.order_id = unhex(value ->> 'id')) on conflict (id) do nothing",
            $end
        )
    };
}
const STORE: &str = store!("");
const STORE_RETURNING: &str = store!(" returning id");
const REDEEM: &str = "insert into promotion_redemptions (order_id, promotion_code, client_id, discount_cents, created_at) \
    select unhex(value ->> 'id'), value ->> 'code', value ->> 'client', value ->> 'discount', value ->> 'at' \
    from json_each($1) where value ->> 'code' is not null \
    and unhex(value ->> 'id') in (select unhex(value) from json_each($2)) on conflict do nothing";
const USED: &str = "select name, used from limit_counters where name in (select value from json_each($1))";
const COUNT: &str = "insert into limit_counters (name, used) select key, value from json_each($1) where true \
    on conflict (name) do update set used = used + excluded.used";
const ANSWERS: &str = "select k.client_id, k.key, k.request_hash, k.order_id, k.response from json_each($1) w \
    join idempotency_keys k on k.client_id = w.value ->> 0 and k.key = w.value ->> 1";

#[derive(Serialize)]
struct Row<'o> {
    id: String,
    client: i64,
    at: i64,
    snapshot: &'o RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'o str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'o str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'o str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discount: Option<i64>,
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

fn rows<'o>(orders: impl Iterator<Item = &'o NewOrder>) -> Result<String, sqlx::Error> {
    let row = |new: &'o NewOrder| {
        let claim = new.idempotency.as_ref();
        let response = claim.map(|claim| std::str::from_utf8(&claim.response)).transpose();
        Ok(Row {
            id: new.order.id.uuid().simple().to_string(),
            client: new.order.client_id.get(),
            at: new.order.created_at.micros(),
            snapshot: serde_json::from_str(&new.snapshot_json)
                .map_err(|error| sqlx::Error::Encode(error.into()))?,
            key: claim.map(|claim| claim.key.as_str()),
            hash: claim.map(|claim| claim.request_hash.iter().map(|byte| format!("{byte:02x}")).collect()),
            response: response.map_err(|error| sqlx::Error::Encode(error.into()))?,
            code: new.redemption.as_ref().map(|redemption| redemption.code.as_str()),
            discount: new.redemption.as_ref().map(|redemption| redemption.discount.cents()),
        })
    };
    json(&orders.map(row).collect::<Result<Vec<_>, sqlx::Error>>()?)
}

pub(super) async fn store(
    connection: &mut SqliteConnection,
    orders: &[&NewOrder],
) -> Result<Outcomes, sqlx::Error> {
    if orders.iter().all(|order| order.is_plain()) {
        let rows = rows(orders.iter().copied())?;
        sqlx::query(STORE_PLAIN).bind(rows).execute(connection).await?;
        return Ok(all_stored(orders));
    }
    let mut transaction = connection.begin_with("begin immediate").await?;
    let limits = limits(&mut transaction, orders).await?;
    let fitting = orders.iter().enumerate().filter(|(position, _)| !limits.refused.contains_key(position));
    let rows = rows(fitting.clone().map(|(_, order)| *order))?;
    if orders.iter().any(|order| order.idempotency.is_some()) {
        sqlx::query(CLAIM_KEYS).bind(&rows).execute(&mut *transaction).await?;
    }
    // Every row that a statement returns is handed from thread to thread: ask for them only where it matters which
    // orders are new, that is where uses are counted, or where some are missing.
    let ids: HashSet<Uuid> = fitting.map(|(_, order)| order.order.id.uuid()).collect();
    let stored: HashSet<Uuid> = if limits.uses.is_empty() {
        let added = sqlx::query(STORE).bind(&rows).execute(&mut *transaction).await?.rows_affected();
        if added == ids.len() as u64 {
            ids
        } else {
            stored_ids(&mut transaction, &ids.into_iter().collect::<Vec<_>>()).await?
        }
    } else {
        let new: Vec<Uuid> =
            sqlx::query_scalar(STORE_RETURNING).bind(&rows).fetch_all(&mut *transaction).await?;
        new.into_iter().collect()
    };
    if orders.iter().any(|order| order.redemption.is_some()) {
        let ids: Vec<_> = stored.iter().map(|id| id.simple().to_string()).collect();
        sqlx::query(REDEEM).bind(&rows).bind(json(&ids)?).execute(&mut *transaction).await?;
    }
    let mut uses: BTreeMap<&str, i64> = BTreeMap::new();
    for (_, counter) in limits.uses.iter().filter(|(id, _)| stored.contains(id)) {
        *uses.entry(counter).or_default() += 1;
    }
    if !uses.is_empty() {
        sqlx::query(COUNT).bind(json(&uses)?).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    let open = conflicts(orders, &stored);
    let answers = if open.is_empty() { HashMap::new() } else { answers(connection, &open).await? };
    Ok(outcomes(orders, limits.refused, &stored, &answers))
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
