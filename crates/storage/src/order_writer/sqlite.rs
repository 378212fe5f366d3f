//! A batch on SQLite: as few statements as its orders allow.
//!
//! Each call into SQLite is handed to the connection's thread and back, so rows go in many at a time, as parameters of
//! one statement. Its sizes are few, so that statements stay prepared; rows that are not needed are null.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::NewOrder;
use serde::Serialize;
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, Connection as _, SqliteConnection};
use uuid::Uuid;

use super::batch::{
    BATCH_ORDERS, BatchOutcomes, Grants, StoredResponses, after_commit, all_stored, by_key, conflicts,
    counter_names, hand_out, outcomes,
};
use super::failure::StoreFailure;

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
/// Returns the ids of those that are new.
const LIMITED_ORDERS: Insert =
    Insert { tail: ") where column1 is not null on conflict (id) do nothing returning id", ..ORDERS };
const KEYS: Insert = Insert {
    head: "insert into idempotency_keys (order_id, client_id, created_at, key, request_hash, response) \
           select column1, column2, column3, column4, column5, column6 from (values ",
    columns: 6,
    tail: ") where column1 is not null on conflict do nothing",
};
const NEW_KEYS: Insert = Insert { tail: ") where column1 is not null", ..KEYS };
const REDEMPTIONS: Insert = Insert {
    head: "insert into promotion_redemptions (order_id, client_id, created_at, promotion_code, discount_cents) \
           select column1, column2, column3, column4, column5 from (values ",
    columns: 5,
    tail: ") where column1 is not null on conflict do nothing",
};
const USED: &str = "select name, used from limit_counters where name in (select value from json_each($1))";
const COUNT: &str = "insert into limit_counters (name, used) select key, value from json_each($1) where true \
    on conflict (name) do update set used = used + excluded.used";
const RESPONSES: &str = "select k.client_id, k.key, k.request_hash, k.order_id, k.response from json_each($1) w \
    join idempotency_keys k on k.client_id = w.value ->> 0 and k.key = w.value ->> 1";

/// Statements that go to SQLite in one call, and their parameters.
struct Script {
    sql: String,
    arguments: SqliteArguments,
}

impl Script {
    /// For at most [`BATCH_ORDERS`] rows.
    const SIZES: [usize; 6] = [1, 4, 16, 48, 96, BATCH_ORDERS];

    fn new(sql: &str) -> Self {
        Self { sql: sql.to_owned(), arguments: SqliteArguments::default() }
    }

    /// Adds the statement for these orders, if there are any; `bind` adds the parameters of each row.
    fn insert<'o>(
        mut self,
        insert: &Insert,
        orders: &[&'o NewOrder],
        bind: impl Fn(&mut SqliteArguments, &'o NewOrder) -> Result<(), BoxDynError>,
    ) -> Result<Self, sqlx::Error> {
        if orders.is_empty() {
            return Ok(self);
        }
        let size = Self::SIZES.into_iter().find(|size| *size >= orders.len()).unwrap_or(orders.len());
        let row = format!("({})", vec!["?"; insert.columns].join(","));
        // Nothing of an order is in the text.
        self.sql.push_str(insert.head);
        self.sql.push_str(&vec![row; size].join(","));
        self.sql.push_str(insert.tail);
        self.sql.push(';');
        self.arguments.reserve(size * insert.columns, 0);
        for order in orders {
            bind(&mut self.arguments, order).map_err(sqlx::Error::Encode)?;
        }
        for _ in orders.len() * insert.columns..size * insert.columns {
            self.arguments.add(None::<i64>).map_err(sqlx::Error::Encode)?;
        }
        Ok(self)
    }

    fn then(mut self, sql: &str) -> Self {
        self.sql.push_str(sql);
        self
    }

    async fn execute(self, connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
        let query = sqlx::query_with(AssertSqlSafe(self.sql), self.arguments);
        Ok(query.execute(connection).await?.rows_affected())
    }

    async fn fetch_ids(self, connection: &mut SqliteConnection) -> Result<Vec<Uuid>, sqlx::Error> {
        sqlx::query_scalar_with(AssertSqlSafe(self.sql), self.arguments).fetch_all(connection).await
    }
}

fn bind_order(arguments: &mut SqliteArguments, new: &NewOrder) -> Result<(), BoxDynError> {
    arguments.add(new.order.id.uuid())?;
    arguments.add(new.order.client_id.get())?;
    arguments.add(new.order.created_at.micros())?;
    arguments.add(new.snapshot_json.as_str())
}

fn bind_key(arguments: &mut SqliteArguments, new: &NewOrder) -> Result<(), BoxDynError> {
    let Some(claim) = &new.idempotency else { return Ok(()) };
    arguments.add(new.order.id.uuid())?;
    arguments.add(new.order.client_id.get())?;
    arguments.add(new.order.created_at.micros())?;
    arguments.add(claim.key.as_str())?;
    arguments.add(&claim.request_hash[..])?;
    arguments.add(&claim.response[..])
}

fn bind_redemption(arguments: &mut SqliteArguments, new: &NewOrder) -> Result<(), BoxDynError> {
    let Some(redemption) = &new.redemption else { return Ok(()) };
    arguments.add(new.order.id.uuid())?;
    arguments.add(new.order.client_id.get())?;
    arguments.add(new.order.created_at.micros())?;
    arguments.add(redemption.code.as_str())?;
    arguments.add(redemption.discount.cents())
}

fn keyed<'o>(orders: &[&'o NewOrder]) -> Vec<&'o NewOrder> {
    orders.iter().copied().filter(|order| order.idempotency.is_some()).collect()
}

fn redeeming<'o>(orders: &[&'o NewOrder]) -> Vec<&'o NewOrder> {
    orders.iter().copied().filter(|order| order.redemption.is_some()).collect()
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

pub(super) async fn store(
    connection: &mut SqliteConnection,
    orders: &[&NewOrder],
) -> Result<BatchOutcomes, StoreFailure> {
    if orders.iter().all(|order| order.is_plain()) {
        store_orders(connection, orders).await?;
        return Ok(all_stored(orders));
    }
    if counter_names(orders).is_empty() {
        match store_new(connection, orders).await {
            Ok(()) => return Ok(all_stored(orders)),
            Err(StoreFailure::Refused(sqlx::Error::Database(error))) if error.is_unique_violation() => {}
            Err(failure) => return Err(failure),
        }
    }
    let mut transaction = connection.begin_with("begin immediate").await?;
    let grants = grants(&mut transaction, orders).await?;
    let fitting = orders.iter().enumerate().filter(|(position, _)| !grants.refused.contains_key(position));
    let fitting: Vec<&NewOrder> = fitting.map(|(_, order)| *order).collect();
    let lost = claim_keys(&mut transaction, &fitting).await?;
    let free: Vec<&NewOrder> =
        fitting.into_iter().filter(|order| !lost.contains(&order.order.id.uuid())).collect();
    let (limited, rest): (Vec<&NewOrder>, Vec<&NewOrder>) = free.iter().partition(|order| order.is_limited());
    store_orders(&mut transaction, &rest).await?;
    store_limited_orders(&mut transaction, &limited, &grants).await?;
    redeem(&mut transaction, &free).await?;
    transaction.commit().await?;
    let stored = free.iter().map(|order| order.order.id.uuid()).collect();
    let open = conflicts(orders, &stored);
    let responses = if open.is_empty() {
        HashMap::new()
    } else {
        stored_responses(connection, &open).await.map_err(|failure| after_commit(&failure))?
    };
    Ok(outcomes(orders, &grants, &stored, &responses))
}

/// Stores orders whose keys are new, as nearly all are, and that need nobody's leave, in one call: a used key fails it.
async fn store_new(connection: &mut SqliteConnection, orders: &[&NewOrder]) -> Result<(), StoreFailure> {
    let script = Script::new("begin immediate;")
        .insert(&NEW_KEYS, &keyed(orders), bind_key)?
        .insert(&REDEMPTIONS, &redeeming(orders), bind_redemption)?
        .insert(&ORDERS, orders, bind_order)?
        .then("commit");
    let Err(error) = script.execute(connection).await else { return Ok(()) };
    match sqlx::query("rollback").execute(connection).await {
        Ok(_) => Err(error.into()),
        // SQLite has ended the transaction by itself (https://sqlite.org/lang_transaction.html, section 2.3), or is lost.
        Err(_) if database::is_unavailable(&error) => Err(error.into()),
        Err(_) => Err(StoreFailure::outcome_unknown("a transaction could not be rolled back")),
    }
}

async fn store_orders(connection: &mut SqliteConnection, orders: &[&NewOrder]) -> Result<(), sqlx::Error> {
    if orders.is_empty() {
        return Ok(());
    }
    Script::new("").insert(&ORDERS, orders, bind_order)?.execute(connection).await.map(drop)
}

/// Claims the keys of orders; returns the orders whose key belongs to another one.
async fn claim_keys(
    connection: &mut SqliteConnection,
    orders: &[&NewOrder],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let keyed = keyed(orders);
    let mut lost = HashSet::new();
    if keyed.is_empty() {
        return Ok(lost);
    }
    let claimed = Script::new("").insert(&KEYS, &keyed, bind_key)?.execute(&mut *connection).await?;
    if claimed == keyed.len() as u64 {
        return Ok(lost);
    }
    let keys: Vec<_> = conflicts(&keyed, &HashSet::new());
    let responses = stored_responses(connection, &keys).await?;
    for order in keyed {
        let id = order.order.id.uuid();
        let key = order.idempotency.as_ref().map(|claim| claim.key.as_str().to_owned()).unwrap_or_default();
        let holder = responses.get(&(order.order.client_id.get(), key)).map(|response| response.order_id);
        if holder != Some(id) {
            lost.insert(id);
        }
    }
    Ok(lost)
}

/// Stores orders that take units of counters, and counts those of the orders that are new: an earlier attempt may have
/// stored and counted some.
async fn store_limited_orders(
    connection: &mut SqliteConnection,
    orders: &[&NewOrder],
    grants: &Grants,
) -> Result<(), sqlx::Error> {
    if orders.is_empty() {
        return Ok(());
    }
    let script = Script::new("").insert(&LIMITED_ORDERS, orders, bind_order)?;
    let new: HashSet<Uuid> = script.fetch_ids(&mut *connection).await?.into_iter().collect();
    let mut uses: BTreeMap<&str, i64> = BTreeMap::new();
    for grant in grants.uses.iter().filter(|grant| new.contains(&grant.order_id)) {
        *uses.entry(&grant.counter).or_default() += grant.units;
    }
    if uses.is_empty() {
        return Ok(());
    }
    sqlx::query(COUNT).bind(json(&uses)?).execute(connection).await.map(drop)
}

async fn redeem(connection: &mut SqliteConnection, orders: &[&NewOrder]) -> Result<(), sqlx::Error> {
    let redeeming = redeeming(orders);
    if redeeming.is_empty() {
        return Ok(());
    }
    Script::new("").insert(&REDEMPTIONS, &redeeming, bind_redemption)?.execute(connection).await.map(drop)
}

/// What the orders get of their counters.
async fn grants(connection: &mut SqliteConnection, orders: &[&NewOrder]) -> Result<Grants, sqlx::Error> {
    let counters = counter_names(orders);
    if counters.is_empty() {
        return Ok(Grants::default());
    }
    let used: Vec<(String, i64)> = sqlx::query_as(USED).bind(json(&counters)?).fetch_all(connection).await?;
    Ok(hand_out(orders, used.into_iter().collect()))
}

pub(super) async fn stored_responses(
    connection: &mut SqliteConnection,
    keys: &[(i64, &str)],
) -> Result<StoredResponses, sqlx::Error> {
    Ok(by_key(sqlx::query_as(RESPONSES).bind(json(keys)?).fetch_all(connection).await?))
}

/// Opens the write-ahead log, which a first read does.
pub(super) async fn open_log(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("select count(*) from sqlite_schema").execute(connection).await.map(drop)
}

/// Brings what is in the write-ahead log into the file. Returns whether all of it is there.
pub(super) async fn checkpoint(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // Whether it was busy, frames in the log, and frames that are in the file.
    let (busy, frames, saved): (i64, i64, i64) =
        sqlx::query_as("pragma wal_checkpoint(full)").fetch_one(connection).await?;
    Ok(busy == 0 && frames == saved)
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
