//! Clients that come evenly while somebody holds what their orders need: of what they are told that it is not placed,
//! nothing is there when it is over.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use database::Session;
use domain::Placement;
use futures_util::future::join_all;
use storage::metrics::WriterMetrics;
use storage::{OrderWriter, StorageError};
use telemetry::metrics::Registry;
use test_database::{TestDatabase, TestEngine, execute};

use super::{keyed, limited};
use crate::harness::{eventually, hold_orders, order_ids};
use crate::storage::{fresh, new, order};

/// One at a time comes within the time that an order takes at most: at any moment some of them have waited just so long
/// that their time is up in the moment when an attempt to store them is given up.
const CLIENTS: u32 = 32;
const APART: Duration = Duration::from_millis(50);
/// How many orders of a client are stored in a second at least, if it waits for nobody: some 20 to 40 are. Where it waits for
/// lock timeouts, 4 at most.
const LEAST_A_SECOND: u32 = 5;

/// The counter that is held, and another one.
const HELD: &str = "HELD";
const OTHER: &str = "OTHER";

/// What an order brings with it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Kind {
    has_key: bool,
    /// Needs this counter.
    counter: Option<&'static str>,
}

impl Kind {
    /// Each of these with a key and without.
    fn each(counters: &[Option<&'static str>]) -> Vec<Self> {
        let with = |has_key| counters.iter().map(move |counter| Self { has_key, counter: *counter });
        with(false).chain(with(true)).collect()
    }
}

/// What somebody ordered, and was told.
#[derive(Debug)]
struct Told {
    id: String,
    kind: Kind,
    at: Instant,
    outcome: Result<Placement, StorageError>,
}

impl Told {
    fn is_stored(&self) -> bool {
        matches!(self.outcome, Ok(Placement::Stored))
    }

    fn is_unknown(&self) -> bool {
        matches!(self.outcome, Err(StorageError::OutcomeUnknown(_)))
    }

    fn is_not_placed(&self) -> bool {
        self.outcome.is_err() && !self.is_unknown()
    }
}

struct Shop {
    database: TestDatabase,
    writer: OrderWriter,
    kinds: Vec<Kind>,
    /// What was told before anything is held.
    before: Vec<Told>,
    is_over: AtomicBool,
}

impl Shop {
    /// With one order of each kind.
    async fn open(engine: TestEngine, kinds: &[Kind]) -> Self {
        let (database, _) = fresh(engine).await;
        let writer = OrderWriter::start(&database.url(), 2, &WriterMetrics::new(&Registry::off()));
        eventually("a writer is connected", async || writer.connected() > 0).await;
        let (kinds, is_over) = (kinds.to_vec(), AtomicBool::new(false));
        let mut shop = Self { database, writer, kinds, before: Vec::new(), is_over };
        shop.before = shop.place_each().await;
        assert!(shop.before.iter().all(Told::is_stored), "{:?}", shop.before);
        shop
    }

    async fn place_each(&self) -> Vec<Told> {
        join_all(self.kinds.iter().map(|kind| self.place(*kind))).await
    }

    /// Each time another order, with its own id and key.
    async fn place(&self, kind: Kind) -> Told {
        let mut order = new(&order(1, 1_795_000_000_000_000));
        let id = order.order.id.to_string();
        if kind.has_key {
            order = keyed(order, &id, 0);
        }
        if let Some(counter) = kind.counter {
            order = limited(order, counter, i64::MAX);
        }
        let outcome = self.writer.place(order).await;
        Told { id, kind, at: Instant::now(), outcome }
    }

    /// All clients order one after the other, each its kind, until it is over.
    async fn keep_ordering(&self) -> Vec<Told> {
        let client = async |number: u32| {
            tokio::time::sleep(APART * number).await; // ok: when a client comes
            let (kind, mut told) = (self.kinds[number as usize % self.kinds.len()], Vec::new());
            while !self.is_over.load(Ordering::Relaxed) {
                told.push(self.place(kind).await);
                tokio::time::sleep(Duration::from_millis(20)).await; // ok: a client's pause
            }
            told
        };
        join_all((0..CLIENTS).map(client)).await.into_iter().flatten().collect()
    }

    /// Clients order while something is held, and until each kind is stored again. What they were told, and when the hold
    /// was over.
    async fn while_held(&self, mut holder: Session, held_for: Duration) -> (Vec<Told>, Instant) {
        let holding = async {
            tokio::time::sleep(held_for).await; // ok: how long it is held
            let over = Instant::now();
            execute(holder.connection.as_mut(), "rollback").await;
            let mut asked = Vec::new();
            let is_stored_again = async || {
                let again = self.place_each().await;
                let is_stored = again.iter().all(Told::is_stored);
                asked.extend(again);
                is_stored
            };
            eventually("everything is stored again", is_stored_again).await;
            self.is_over.store(true, Ordering::Relaxed);
            (asked, over)
        };
        let (mut told, (asked, over)) = tokio::join!(self.keep_ordering(), holding);
        told.extend(asked);
        (told, over)
    }

    /// All is as told, and stays so.
    async fn all_stays_as_told(&self, told: &[Told]) {
        self.all_is_as_told(told).await;
        // What waits for SQLite's lock looks for it every 100 ms.
        tokio::time::sleep(Duration::from_millis(700)).await; // ok: for what must not come
        self.all_is_as_told(told).await;
    }

    /// PostgreSQL ends what waits for a lock: nothing is there of those who were told something else long before the hold
    /// was over.
    async fn nothing_came_late(&self, told: &[Told], over: Instant) {
        /// How long an attempt may still wait when its client is told, and some more.
        const ATTEMPT: Duration = Duration::from_millis(400);
        let there = order_ids(&self.database).await;
        let given_up = told.iter().filter(|told| told.outcome.is_err() && told.at + ATTEMPT < over);
        let late: Vec<_> = given_up.filter(|told| there.contains(&told.id)).collect();
        assert!(late.is_empty(), "tried when their clients did not wait any more: {late:?}");
    }

    /// What was acknowledged is there once, and else only what nobody knew of.
    async fn all_is_as_told(&self, told: &[Told]) {
        let there = order_ids(&self.database).await;
        let count = self.database.number("select count(*) from orders").await;
        assert_eq!(there.len(), usize::try_from(count).unwrap());
        let lost: Vec<_> = told.iter().filter(|told| told.is_stored() && !there.contains(&told.id)).collect();
        assert!(lost.is_empty(), "acknowledged, and not there: {lost:?}");
        let came: Vec<_> =
            told.iter().filter(|told| told.is_not_placed() && there.contains(&told.id)).collect();
        assert!(came.is_empty(), "not placed, as their clients were told, and there: {came:?}");
        let ordered: HashSet<_> = told.iter().chain(&self.before).map(|told| told.id.clone()).collect();
        assert!(there.is_subset(&ordered), "nobody ordered {:?}", there.difference(&ordered));
    }
}

/// SQLite goes on with what nobody waits for any more, and stores it when the hold is over. An attempt is given up after
/// 1.5 s: held so long, there are three, and the last takes orders that have waited for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_stores_nothing_late_of_which_a_client_was_told_that_it_is_not_placed() {
    let shop = Shop::open(TestEngine::Sqlite, &[Kind { has_key: false, counter: None }]).await;
    let holder = hold_orders(&shop.database).await;
    let (told, over) = shop.while_held(holder, Duration::from_millis(4750)).await;
    let meanwhile: Vec<_> = told.iter().filter(|told| told.at < over).collect();
    assert!(meanwhile.iter().all(|told| told.outcome.is_err()), "nothing could be stored: {meanwhile:?}");
    let unknown: HashSet<_> =
        meanwhile.iter().filter(|told| told.is_unknown()).map(|told| told.id.clone()).collect();
    assert!((1..meanwhile.len()).contains(&unknown.len()), "some are not placed: {meanwhile:?}");
    // Or there would be nothing to be afraid of.
    let comes = async || !order_ids(&shop.database).await.is_disjoint(&unknown);
    eventually("something is stored that was given up", comes).await;
    shop.all_stays_as_told(&told).await;
}

/// Nobody is stored, with a key or without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_stores_nothing_late_that_waited_for_the_table() {
    let shop = Shop::open(TestEngine::Postgres, &Kind::each(&[None])).await;
    let holder = hold_orders(&shop.database).await;
    let (told, over) = shop.while_held(holder, Duration::from_millis(2500)).await;
    let meanwhile: Vec<_> = told.iter().filter(|told| told.at < over).collect();
    assert!(meanwhile.iter().all(|told| told.outcome.is_err()), "nothing could be stored: {meanwhile:?}");
    assert!(meanwhile.iter().any(|told| told.is_not_placed()), "some are not placed: {meanwhile:?}");
    shop.all_stays_as_told(&told).await;
    shop.nothing_came_late(&told, over).await;
}

/// What needs the counter is tried again for as long as its client waits, and no longer. What does not need it is stored as
/// if nobody held any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_stores_nothing_late_that_waited_for_a_counter_and_everything_else_at_once() {
    let kinds = Kind::each(&[None, Some(OTHER), Some(HELD)]);
    let shop = Shop::open(TestEngine::Postgres, &kinds).await;
    let used = |counter| format!("select used from limit_counters where name = '{counter}'");
    assert_eq!(shop.database.number(&used(HELD)).await, 2);
    let mut holder = shop.database.session().await;
    execute(holder.connection.as_mut(), &format!("begin; {} for update", used(HELD))).await;
    let (told, over) = shop.while_held(holder, Duration::from_secs(4)).await;
    shop.all_stays_as_told(&told).await;
    shop.nothing_came_late(&told, over).await;

    let (held, free): (Vec<_>, Vec<_>) =
        told.iter().filter(|told| told.at < over).partition(|told| told.kind.counter == Some(HELD));
    assert!(held.iter().all(|told| told.is_not_placed()), "it was held: {held:?}");
    let there = order_ids(&shop.database).await;
    for kind in kinds.iter().filter(|kind| kind.counter != Some(HELD)) {
        let (stored, others): (Vec<&Told>, Vec<&Told>) =
            free.iter().copied().filter(|told| told.kind == *kind).partition(|told| told.is_stored());
        let least = CLIENTS as usize / kinds.len() * 4 * LEAST_A_SECOND as usize;
        assert!(stored.len() >= least, "only {} of {kind:?} meanwhile, and {others:?}", stored.len());
    }
    for counter in [HELD, OTHER] {
        let is_counted = |told: &&Told| told.kind.counter == Some(counter) && there.contains(&told.id);
        let stored = told.iter().chain(&shop.before).filter(is_counted).count();
        assert_eq!(shop.database.number(&used(counter)).await, i64::try_from(stored).unwrap(), "{counter}");
    }
}

/// Who waited is not forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_stores_all_that_waited_for_a_counter_that_is_soon_free() {
    let shop = Shop::open(TestEngine::Postgres, &Kind::each(&[None, Some(HELD)])).await;
    let mut holder = shop.database.session().await;
    let lock = format!("begin; select used from limit_counters where name = '{HELD}' for update");
    execute(holder.connection.as_mut(), &lock).await;
    let (told, over) = shop.while_held(holder, Duration::from_millis(700)).await;
    let waited = told.iter().filter(|told| told.kind.counter.is_some() && told.at < over);
    assert_eq!(waited.count(), 0, "it was held");
    assert!(told.iter().all(Told::is_stored), "all had the time: {told:?}");
    shop.all_stays_as_told(&told).await;
}

/// A table that is locked is like all of its counters.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_stores_what_needs_no_counter_while_all_of_them_are_locked() {
    let kinds = Kind::each(&[None, Some(HELD)]);
    let shop = Shop::open(TestEngine::Postgres, &kinds).await;
    let mut holder = shop.database.session().await;
    execute(holder.connection.as_mut(), "begin; lock table limit_counters in share row exclusive mode").await;
    let (told, over) = shop.while_held(holder, Duration::from_secs(4)).await;
    shop.all_stays_as_told(&told).await;
    shop.nothing_came_late(&told, over).await;
    let (held, free): (Vec<_>, Vec<_>) =
        told.iter().filter(|told| told.at < over).partition(|told| told.kind.counter.is_some());
    assert!(held.iter().all(|told| told.is_not_placed()), "it was locked: {held:?}");
    assert!(free.iter().all(|told| told.is_stored()), "nobody held it up: {free:?}");
    assert!(
        free.len() >= CLIENTS as usize / 2 * 4 * LEAST_A_SECOND as usize,
        "only {} meanwhile",
        free.len()
    );
}
