//! A batch on PostgreSQL: arrays in, one statement for everything but limits.

use std::collections::{HashMap, HashSet};

use database::{Backend, Setting};
use domain::{KeyClaim, NewOrder, Redemption};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _, SqlSafeStr as _};
use uuid::Uuid;

use super::batch::{
    BatchOutcomes, Grants, StoredResponses, after_commit, all_stored, by_key, conflicts, counter_names,
    hand_out, outcomes,
};
use super::failure::StoreFailure;

/// True. Raises `synchronous_commit` where it has become off meanwhile, before the commit of the statement that it is in;
/// evaluated once for each statement.
macro_rules! durable {
    () => {
        "(select case current_setting('synchronous_commit') when 'off' \
         then set_config('synchronous_commit', 'on', false) end) is distinct from ''"
    };
}

/// For orders without key and promotion, the bulk of them.
const STORE_PLAIN: &str = concat!(
    "insert into orders (id, client_id, status, version, created_at, updated_at, snapshot) \
     select id, client_id, 'placed', 1, created_at, created_at, snapshot::json \
     from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[]) as i (id, client_id, created_at, snapshot) where ",
    durable!(),
    " on conflict (id) do nothing"
);

/// For orders whose keys are new, as nearly all are, and that need nobody's leave: a used key fails the statement.
/// Keys go first and sorted, so that two batches with the same keys wait for one another and never in a circle.
const STORE_NEW: &str = concat!(
    "with stored as ( \
        insert into orders (id, client_id, status, version, created_at, updated_at, snapshot) \
        select id, client_id, 'placed', 1, created_at, created_at, snapshot::json \
        from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[]) as i (id, client_id, created_at, snapshot) where ",
    durable!(),
    "), redeemed as ( \
        insert into promotion_redemptions (order_id, client_id, created_at, promotion_code, discount_cents) \
        select * from unnest($5::uuid[], $6::bigint[], $7::bigint[], $8::text[], $9::bigint[]) \
    ) insert into idempotency_keys (order_id, client_id, created_at, key, request_hash, response) \
    select * from unnest($10::uuid[], $11::bigint[], $12::bigint[], $13::text[], $14::bytea[], $15::bytea[])"
);

/// Keys are claimed in sorted order, so that two batches with the same keys wait for one another and never in a circle.
/// An order whose key is taken is not stored, nor counted.
const STORE: &str = concat!(
    "with input as ( \
        select * from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bytea[], $7::bytea[], $8::text[], $9::bigint[]) \
        as i (id, client_id, created_at, snapshot, key, request_hash, response, promotion_code, discount_cents) where ",
    durable!(),
    "), claimed as ( \
        insert into idempotency_keys (client_id, key, request_hash, order_id, response, created_at) \
        select client_id, key, request_hash, id, response, created_at from input where key is not null order by client_id, key \
        on conflict do nothing returning order_id \
    ), stored as ( \
        insert into orders (id, client_id, status, version, created_at, updated_at, snapshot) \
        select id, client_id, 'placed', 1, created_at, created_at, snapshot::json from input \
        where key is null or id in (select order_id from claimed) \
        on conflict (id) do nothing returning id \
    ), redeemed as ( \
        insert into promotion_redemptions (order_id, promotion_code, client_id, discount_cents, created_at) \
        select id, promotion_code, client_id, discount_cents, created_at from input \
        where promotion_code is not null and id in (select id from stored) \
    ), counted as ( \
        update limit_counters c set used = c.used + u.uses from ( \
            select name, sum(units)::bigint as uses from unnest($10::uuid[], $11::text[], $12::bigint[]) \
            as t (order_id, name, units) where order_id in (select id from stored) group by name \
        ) u where c.name = u.name \
    ) select id from stored"
);

/// Locks the counters, made where they are missing, in sorted order, and reads them.
const LOCK_COUNTERS: &str = "insert into limit_counters as c (name, used) select name, 0 from unnest($1::text[]) as n (name) \
    order by name on conflict (name) do update set version = c.version + 1 returning name, used";

/// Those of the counters that `LOCK_COUNTERS` would have to wait for, but for those that another transaction has just made,
/// and their versions; the release before changes only what was used. It locks the table as that does; what else it locks nobody has to find on the disk.
const HELD_COUNTERS: &str = "with quick as materialized (select set_config('synchronous_commit', 'off', true)), \
    same_lock as (delete from limit_counters where false), \
    free as materialized (select c.name from quick, limit_counters c where c.name = any($1::text[]) \
        for no key update of c skip locked) \
    select name, concat(version, ':', used) from limit_counters where name = any($1::text[]) and name not in (select name from free)";

/// A commit that has to wait for standbys as every order has. Whether an order that is found was replicated cannot be
/// seen: a wait that was broken off leaves it stored here only. A commit begun after it was seen comes after it in the log.
/// Where no standby is waited for there is nothing to write.
macro_rules! pass {
    () => {
        "select case when current_setting('synchronous_standby_names') <> '' \
         then pg_logical_emit_message(true, 'order-food', '') end"
    };
}
const CONFIRM: &str = pass!();

/// What is answered from them is an acknowledgement again, so it passes a commit, too.
const RESPONSES: &str = concat!(
    "with passed as materialized (",
    pass!(),
    ") select k.client_id, k.key, k.request_hash, k.order_id, k.response from passed, idempotency_keys k \
     join unnest($1::bigint[], $2::text[]) as w (client_id, key) on k.client_id = w.client_id and k.key = w.key"
);

/// How long a statement waits for a key or a counter that another transaction holds, and how long a process that stands
/// still, or whose machine is gone, keeps others from those that it holds: as long as a batch may take.
pub(super) const SETTINGS: &[Setting] =
    &[("lock_timeout", "250ms"), ("idle_in_transaction_session_timeout", "1500ms")];

/// Prepares every statement, while nobody waits: where each answer is slow in coming, a first batch that had to prepare
/// its own would not be done in time, lose its connection for that, and so would the next one.
pub(super) async fn prepare_statements(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    for statement in [STORE_PLAIN, STORE_NEW, STORE, LOCK_COUNTERS, HELD_COUNTERS, RESPONSES, CONFIRM] {
        match connection.prepare(statement.into_sql_str()).await {
            // What the server has against it, the order that needs it is told.
            Ok(_) | Err(sqlx::Error::Database(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Ends other sessions of ours, and returns once they are gone with their transactions; an error where that takes longer
/// than 150 ms.
pub(super) async fn end_sessions(
    connection: &mut PgConnection,
    backends: &[Backend],
) -> Result<(), sqlx::Error> {
    let them: Vec<_> =
        backends.iter().map(|backend| format!("({}, '{}')", backend.pid, backend.started_at)).collect();
    // One text again, of a server's own values. `pg_terminate_backend` can wait by itself, but looks every 100 ms only.
    let sql = format!(
        "do $$ begin \
             perform pg_terminate_backend(pid) from pg_stat_activity where {is_one}; \
             for look in 1..75 loop \
                 perform pg_stat_clear_snapshot(); \
                 if not exists (select from pg_stat_activity where {is_one}) then return; end if; \
                 perform pg_sleep(0.002); \
             end loop; \
             raise exception 'sessions do not end'; \
         end $$",
        is_one =
            format_args!("(pid, backend_start::text) in ({}) and pid <> pg_backend_pid()", them.join(", ")),
    );
    connection.execute(AssertSqlSafe(sql)).await.map(drop)
}

/// Passes a commit under the server's own rules for replication.
pub(super) async fn confirm(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(CONFIRM).execute(connection).await.map(drop)
}

pub(super) async fn store(
    connection: &mut PgConnection,
    orders: &[&NewOrder],
) -> Result<BatchOutcomes, StoreFailure> {
    if orders.iter().all(|order| order.is_plain()) {
        store_plain(connection, orders).await?;
        return Ok(all_stored(orders));
    }
    let counters = counter_names(orders);
    if counters.is_empty() {
        match store_new(connection, orders).await {
            Ok(()) => return Ok(all_stored(orders)),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let (grants, stored) = if counters.is_empty() {
        let grants = Grants::default();
        let stored = store_granted(connection, orders, &grants).await?;
        (grants, stored)
    } else {
        let mut transaction = connection.begin().await?;
        let used: Vec<(String, i64)> =
            sqlx::query_as(LOCK_COUNTERS).bind(&counters).fetch_all(&mut *transaction).await?;
        let grants = hand_out(orders, used.into_iter().collect());
        let stored = store_granted(&mut transaction, orders, &grants).await?;
        transaction.commit().await?;
        (grants, stored)
    };
    let open = conflicts(orders, &stored);
    let responses = if open.is_empty() {
        HashMap::new()
    } else {
        stored_responses(connection, &open).await.map_err(|failure| after_commit(&failure))?
    };
    Ok(outcomes(orders, &grants, &stored, &responses))
}

async fn store_plain(connection: &mut PgConnection, orders: &[&NewOrder]) -> Result<(), sqlx::Error> {
    let columns = Columns::of(orders.iter().copied());
    sqlx::query(STORE_PLAIN)
        .bind(&columns.ids)
        .bind(&columns.client_ids)
        .bind(&columns.created_at)
        .bind(&columns.snapshots)
        .execute(connection)
        .await
        .map(drop)
}

async fn store_new(connection: &mut PgConnection, orders: &[&NewOrder]) -> Result<(), sqlx::Error> {
    let columns = Columns::of(orders.iter().copied());
    let redeeming: Vec<(&NewOrder, &Redemption)> =
        orders.iter().filter_map(|order| Some((*order, order.redemption.as_ref()?))).collect();
    let redeeming_orders = Columns::of(redeeming.iter().map(|(order, _)| *order));
    let mut keyed: Vec<(&NewOrder, &KeyClaim)> =
        orders.iter().filter_map(|order| Some((*order, order.idempotency.as_ref()?))).collect();
    keyed.sort_unstable_by_key(|(order, claim)| (order.order.client_id, claim.key.as_str()));
    let keyed_orders = Columns::of(keyed.iter().map(|(order, _)| *order));
    let redemptions = || redeeming.iter().map(|(_, redemption)| redemption);
    let claims = || keyed.iter().map(|(_, claim)| claim);
    sqlx::query(STORE_NEW)
        .bind(&columns.ids)
        .bind(&columns.client_ids)
        .bind(&columns.created_at)
        .bind(&columns.snapshots)
        .bind(&redeeming_orders.ids)
        .bind(&redeeming_orders.client_ids)
        .bind(&redeeming_orders.created_at)
        .bind(redemptions().map(|redemption| redemption.code.as_str()).collect::<Vec<_>>())
        .bind(redemptions().map(|redemption| redemption.discount.cents()).collect::<Vec<_>>())
        .bind(&keyed_orders.ids)
        .bind(&keyed_orders.client_ids)
        .bind(&keyed_orders.created_at)
        .bind(claims().map(|claim| claim.key.as_str()).collect::<Vec<_>>())
        .bind(claims().map(|claim| &claim.request_hash[..]).collect::<Vec<_>>())
        .bind(claims().map(|claim| &claim.response[..]).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map(drop)
}

async fn store_granted(
    connection: &mut PgConnection,
    orders: &[&NewOrder],
    grants: &Grants,
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let granted = || {
        let numbered = orders.iter().enumerate();
        numbered.filter(|(position, _)| !grants.refused.contains_key(position)).map(|(_, order)| *order)
    };
    let columns = Columns::of(granted());
    let claims = || granted().map(|order| order.idempotency.as_ref());
    let redemptions = || granted().map(|order| order.redemption.as_ref());
    let uses = || grants.uses.iter();
    let ids: Vec<Uuid> = sqlx::query_scalar(STORE)
        .bind(&columns.ids)
        .bind(&columns.client_ids)
        .bind(&columns.created_at)
        .bind(&columns.snapshots)
        .bind(claims().map(|claim| claim.map(|claim| claim.key.as_str())).collect::<Vec<_>>())
        .bind(claims().map(|claim| claim.map(|claim| &claim.request_hash[..])).collect::<Vec<_>>())
        .bind(claims().map(|claim| claim.map(|claim| &claim.response[..])).collect::<Vec<_>>())
        .bind(
            redemptions()
                .map(|redemption| redemption.map(|redemption| redemption.code.as_str()))
                .collect::<Vec<_>>(),
        )
        .bind(
            redemptions()
                .map(|redemption| redemption.map(|redemption| redemption.discount.cents()))
                .collect::<Vec<_>>(),
        )
        .bind(uses().map(|grant| grant.order_id).collect::<Vec<_>>())
        .bind(uses().map(|grant| grant.counter.as_str()).collect::<Vec<_>>())
        .bind(uses().map(|grant| grant.units).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    Ok(ids.into_iter().collect())
}

struct Columns<'o> {
    ids: Vec<Uuid>,
    client_ids: Vec<i64>,
    created_at: Vec<i64>,
    snapshots: Vec<&'o str>,
}

impl<'o> Columns<'o> {
    fn of(orders: impl Iterator<Item = &'o NewOrder>) -> Self {
        let mut columns = Self { ids: vec![], client_ids: vec![], created_at: vec![], snapshots: vec![] };
        for NewOrder { order, snapshot_json, .. } in orders {
            columns.ids.push(order.id.uuid());
            columns.client_ids.push(order.client_id.get());
            columns.created_at.push(order.created_at.micros());
            columns.snapshots.push(snapshot_json);
        }
        columns
    }
}

pub(super) async fn held_counters(
    connection: &mut PgConnection,
    counters: &[String],
) -> Result<HashMap<String, String>, sqlx::Error> {
    let held: Vec<(String, String)> =
        sqlx::query_as(HELD_COUNTERS).bind(counters).fetch_all(connection).await?;
    Ok(held.into_iter().collect())
}

pub(super) async fn stored_responses(
    connection: &mut PgConnection,
    keys: &[(i64, &str)],
) -> Result<StoredResponses, sqlx::Error> {
    let (client_ids, keys): (Vec<i64>, Vec<&str>) = keys.iter().copied().unzip();
    let rows = sqlx::query_as(RESPONSES).bind(client_ids).bind(keys).fetch_all(connection).await?;
    Ok(by_key(rows))
}

pub(super) async fn stored_ids(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    // On a connection of which nothing else is known yet: as one text, which takes one answer.
    let list: Vec<_> = ids.iter().map(|id| format!("'{id}'")).collect();
    let sql = format!("select id::text from orders where id in ({})", list.join(", "));
    let rows = connection.fetch_all(AssertSqlSafe(sql)).await?;
    let id = |row: &PgRow| {
        let id: String = row.try_get(0)?;
        id.parse().map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))
    };
    rows.iter().map(id).collect()
}
