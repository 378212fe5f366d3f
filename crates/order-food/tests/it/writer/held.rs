//! Orders that somebody else holds up: what their clients are told stays true when the hold is over.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use domain::{CouponCode, Money};
use futures_util::future::join_all;
use order_food::metrics::WriterMetrics;
use order_food::repository::writer::OrderWriter;
use order_food::repository::{
    KeyClaim, LimitKind, NewOrder, OrderPlacement, Redemption, RepositoryError, UseLimit,
};
use telemetry::metrics::Registry;
use test_database::{TestDatabase, TestEngine, execute};

use crate::harness::{eventually, hold_orders, order_ids};
use crate::repository::{fresh, new, order};

const COUNTER: &str = "MANY";
const CLIENTS: usize = 16;

/// What somebody ordered, and was told.
struct Told {
    id: String,
    kind: Kind,
    at: Instant,
    outcome: Result<OrderPlacement, RepositoryError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Keyed,
    /// Needs the counter.
    Limited,
    KeyedAndLimited,
}

impl Kind {
    fn is_limited(self) -> bool {
        matches!(self, Self::Limited | Self::KeyedAndLimited)
    }

    fn order(self) -> NewOrder {
        let order = new(&order(1, 1_795_000_000_000_000));
        let key = || KeyClaim {
            key: order.order.id.to_string().parse().unwrap(),
            request_hash: [0; 32],
            response: order.order.id.to_string().into(),
        };
        let idempotency = matches!(self, Self::Keyed | Self::KeyedAndLimited).then(key);
        let redemption = self.is_limited().then(|| Redemption {
            code: COUNTER.parse::<CouponCode>().unwrap(),
            discount: Money::from_cents(1),
            limits: vec![UseLimit { counter: COUNTER.into(), most: 1_000_000, kind: LimitKind::Total }],
        });
        NewOrder { idempotency, redemption, ..order }
    }
}

async fn place(writer: &OrderWriter, kind: Kind) -> Told {
    let order = kind.order();
    let id = order.order.id.to_string();
    let outcome = writer.place(order).await;
    Told { id, kind, at: Instant::now(), outcome }
}

/// All clients order one after the other, each its kind, until it is over.
async fn keep_ordering(writer: &OrderWriter, kinds: &[Kind], is_over: &AtomicBool) -> Vec<Told> {
    let client = async |kind: Kind| {
        let mut told = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            told.push(place(writer, kind).await);
            // Who is refused at once leaves the others time.
            tokio::time::sleep(Duration::from_millis(5)).await; // ok: a client's pause
        }
        told
    };
    let clients = (0..CLIENTS).map(|number| client(kinds[number % kinds.len()]));
    join_all(clients).await.into_iter().flatten().collect()
}

/// What was acknowledged is there, and of the rest only what nobody knew of.
async fn all_is_as_told(database: &TestDatabase, told: &[Told]) {
    let there = order_ids(database).await;
    for Told { id, kind, outcome, .. } in told {
        match outcome {
            Ok(OrderPlacement::Stored) => assert!(there.contains(id), "{kind:?} was acknowledged"),
            Err(RepositoryError::OutcomeUnknown(_)) => {}
            Err(refused) => assert!(!there.contains(id), "{kind:?} was refused, and is there: {refused:?}"),
            Ok(other) => panic!("{kind:?}: {other:?}"),
        }
    }
}

/// Orders while it is held and until it can be stored again; what was told, and when the hold was over.
async fn held(
    engine: TestEngine,
    kinds: &[Kind],
    hold: Option<&str>,
    held_for: Duration,
) -> (Vec<Told>, Instant, TestDatabase) {
    let (database, _) = fresh(engine).await;
    let writer = OrderWriter::start(&database.url(), 2, &WriterMetrics::new(&Registry::off()));
    eventually("a writer is connected", async || writer.connected() > 0).await;
    for kind in kinds {
        assert_eq!(place(&writer, *kind).await.outcome.unwrap(), OrderPlacement::Stored);
    }
    let mut holder = match hold {
        None => hold_orders(&database).await,
        Some(hold) => {
            let mut session = database.session().await;
            execute(session.connection.as_mut(), hold).await;
            session
        }
    };
    let is_over = AtomicBool::new(false);
    let holding = async {
        tokio::time::sleep(held_for).await; // ok: how long it is held
        let over = Instant::now();
        execute(holder.connection.as_mut(), "rollback").await;
        let is_stored = async || {
            let mut stored = true;
            for kind in kinds {
                stored &= matches!(place(&writer, *kind).await.outcome, Ok(OrderPlacement::Stored));
            }
            stored
        };
        eventually("everything is stored again", is_stored).await;
        is_over.store(true, Ordering::Relaxed);
        over
    };
    let (told, over) = tokio::join!(keep_ordering(&writer, kinds, &is_over), holding);
    all_is_as_told(&database, &told).await;
    tokio::time::sleep(Duration::from_millis(700)).await; // ok: for what must not come
    all_is_as_told(&database, &told).await;
    (told, over, database)
}

/// PostgreSQL ends what waits for a lock: whoever was answered long before the hold was over has not ordered.
async fn nothing_came_later(database: &TestDatabase, told: &[Told], over: Instant) {
    const STATEMENT: Duration = Duration::from_millis(300);
    let there = order_ids(database).await;
    for Told { id, kind, at, outcome } in told {
        let is_over = *at + STATEMENT < over;
        assert!(!(is_over && outcome.is_err() && there.contains(id)), "{kind:?} came after {outcome:?}");
    }
}

/// How often which kind was told what before a moment.
fn counted(told: &[Told], before: Instant) -> HashMap<(bool, bool), usize> {
    let mut counts = HashMap::new();
    for told in told.iter().filter(|told| told.at < before) {
        *counts.entry((told.kind.is_limited(), told.outcome.is_ok())).or_default() += 1;
    }
    counts
}

async fn the_whole_table(engine: TestEngine) -> (Vec<Told>, Instant, TestDatabase) {
    let kinds = [Kind::Plain, Kind::Keyed];
    let (told, over, database) = held(engine, &kinds, None, Duration::from_millis(2500)).await;
    let counts = counted(&told, over);
    assert!(!counts.contains_key(&(false, true)), "nothing could be stored: {counts:?}");
    assert!(counts[&(false, false)] >= CLIENTS, "all were told something: {counts:?}");
    (told, over, database)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_holds_the_whole_table() {
    let (told, over, database) = the_whole_table(TestEngine::Postgres).await;
    nothing_came_later(&database, &told, over).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_holds_the_whole_table() {
    the_whole_table(TestEngine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_counter_holds_up_those_who_need_it() {
    let kinds = [Kind::Plain, Kind::Keyed, Kind::Limited, Kind::KeyedAndLimited];
    let hold = "begin; select * from limit_counters for update";
    let (told, over, database) = held(TestEngine::Postgres, &kinds, Some(hold), Duration::from_secs(4)).await;
    let counts = counted(&told, over);
    assert!(!counts.contains_key(&(true, true)), "it was held: {counts:?}");
    assert!(counts[&(true, false)] >= CLIENTS / 2, "all who need it were told something: {counts:?}");
    assert!(counts[&(false, true)] >= CLIENTS, "others were stored meanwhile: {counts:?}");
    nothing_came_later(&database, &told, over).await;
    let used = database.number("select used from limit_counters").await;
    assert_eq!(used, database.number("select count(*) from promotion_redemptions").await);
}
