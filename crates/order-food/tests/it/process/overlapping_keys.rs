//! Two processes that store the same keys and use the same promotions, in opposite orders.

use std::time::Duration;

use database::Session;
use futures_util::future::{join, join_all};
use serde_json::json;
use test_database::{TestDatabase, TestEngine, execute};

use super::{Api, no_session_is_left};
use crate::harness::{KEY, eventually, hold_orders, load_sample_data};

const ROUNDS: i64 = 40;
const KEYS: i64 = 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reversed_keys_on_two_processes_never_wait_in_a_circle() {
    let database = TestDatabase::migrated(TestEngine::Postgres).await;
    load_sample_data(&database).await;
    let promotion = |code| {
        format!(
            "insert into promotions (code, kind, value, min_items, min_subtotal_cents, max_uses, active, source, created_at, \
             updated_at) values ('{code}', 'fixed', 100, 0, 0, 1000000, true, 'api', 0, 0); "
        )
    };
    database.execute(&(promotion("FIRST") + &promotion("SECOND"))).await;
    // A circle must be found before the writers give up waiting, which would hide it.
    let name = database.texts("select current_database()::text").await.remove(0);
    database.execute(&format!("alter database {name} set deadlock_timeout = '5ms'")).await;
    let before = database.number("select count(*) from orders").await;
    let mut apis = [Api::start(database.url_text(), &[]), Api::start(database.url_text(), &[])];
    for round in 0..ROUNDS {
        let orders = join_all((0..2 * KEYS).map(|number| match number {
            0..KEYS => place(&apis[0], round, number),
            _ => place(&apis[1], round, 2 * KEYS - 1 - number),
        }));
        // Those that arrive behind the first ones come in large batches.
        let holder = hold_orders(&database).await;
        let (answers, ()) = join(orders, let_go(holder, &database)).await;
        for (answer, twin) in answers.iter().zip(answers.iter().rev()) {
            assert_eq!(answer.0, 200, "round {round}: {}", answer.1);
            assert_eq!(answer.1, twin.1, "round {round}: two answers for one key");
        }
    }
    let keys = ROUNDS * KEYS;
    assert_eq!(database.number("select count(*) from orders").await, before + keys);
    assert_eq!(database.number("select count(distinct order_id) from idempotency_keys").await, keys);
    assert_eq!(database.number("select count(*) from promotion_redemptions").await, keys / 4);
    assert_eq!(database.number("select sum(used)::bigint from limit_counters").await, keys / 4);

    // A session's statistics are complete once it is over.
    for api in &mut apis {
        api.process.signal("TERM");
        assert!(api.process.wait(Duration::from_secs(10)).success());
    }
    no_session_is_left(&database).await;
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(database.number(deadlocks).await, 0);
}

/// Lets the orders be stored once both processes wait.
async fn let_go(mut holder: Session, database: &TestDatabase) {
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() \
                   and application_name = 'order-food-writer' and wait_event_type = 'Lock'";
    eventually("both wait", async || database.number(waiting).await >= 2).await;
    tokio::time::sleep(Duration::from_millis(20)).await; // ok: only makes the batches larger
    execute(holder.connection.as_mut(), "rollback").await;
    holder.close().await;
}

/// Every other round half of the orders use a promotion: in these the counters decide who waits, in the others the keys.
async fn place(api: &Api, round: i64, number: i64) -> (u16, String) {
    let code = match (round % 2, number % 4) {
        (0, 1) => Some("SECOND"),
        (0, 3) => Some("FIRST"),
        _ => None,
    };
    let cart = json!({"items": [{"productId": "1", "quantity": 1}], "couponCode": code});
    let request = api.client.post(api.url("/api/order")).header("api_key", KEY);
    let request = request.header("idempotency-key", format!("{round}-{number:02}"));
    let request = request.header("content-type", "application/json").body(cart.to_string());
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.unwrap())
}
