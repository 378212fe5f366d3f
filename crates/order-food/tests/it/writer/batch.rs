//! One batch in which every kind of order stands beside every other: each is decided by itself.

use std::collections::HashSet;

use domain::{LimitKind, NewOrder, Placement};
use storage::metrics::WriterMetrics;
use storage::{OrderWriter, StorageError};
use telemetry::metrics::Registry;
use test_database::{TestDatabase, TestEngine};

use super::keyed;
use crate::harness::order_ids;
use crate::storage::{fresh, new, order};

// On one thread: all orders are in the queue before the writer's task can run, so they are one batch.
mod postgres {
    #[tokio::test]
    async fn a_batch_decides_each_order_by_itself() {
        super::a_batch_decides_each_order_by_itself(super::TestEngine::Postgres).await;
    }

    #[tokio::test]
    async fn a_repetition_takes_no_use() {
        super::a_repetition_takes_no_use(super::TestEngine::Postgres).await;
    }

    #[tokio::test]
    async fn what_fails_after_the_commit_undoes_no_order() {
        super::what_fails_after_the_commit_undoes_no_order().await;
    }
}
mod sqlite {
    #[tokio::test]
    async fn a_batch_decides_each_order_by_itself() {
        super::a_batch_decides_each_order_by_itself(super::TestEngine::Sqlite).await;
    }

    #[tokio::test]
    async fn a_repetition_takes_no_use() {
        super::a_repetition_takes_no_use(super::TestEngine::Sqlite).await;
    }
}

type Outcome = Result<Placement, StorageError>;

/// What is wrong with the poisoned order.
#[derive(Debug, Clone, Copy)]
enum Poison {
    /// Nothing; there is none.
    None,
    /// Its snapshot is not JSON.
    NotJson,
    /// A character that PostgreSQL takes in no text, and JSON in no string.
    Nul,
    /// Not JSON, with a key and a use of a promotion that must both be free afterwards.
    WithKeyAndPromotion,
}

/// What an order is in the batch for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Must be stored, whatever is beside it.
    Neighbour,
    /// Three times the same request with the same key.
    Twin,
    /// Two requests with one key.
    Rival,
    /// The key and the request of an order from before; also where the promotion is used up meanwhile.
    Repeated,
    /// The key of an order from before with another request.
    Reused,
    /// Three for a promotion of which one use is left.
    LastUse,
    /// Of a promotion that is used up.
    UsedUp,
    /// Refused by the database.
    Poisoned,
}

async fn a_batch_decides_each_order_by_itself(engine: TestEngine) {
    let (database, _) = fresh(engine).await;
    if engine == TestEngine::Postgres {
        // A sequence forgets nothing when a batch is rolled back.
        let count_attempts = "create sequence attempts; \
            create function attempt() returns trigger language plpgsql as \
            'begin perform nextval(''attempts''); return new; end'; \
            create trigger attempt before insert on orders for each row execute function attempt()";
        database.execute(count_attempts).await;
    }
    let writer = OrderWriter::start(&database.url(), 1, &WriterMetrics::new(&Registry::off()));
    let mut shop = Shop { database, writer, client: 0 };
    for poison in [Poison::None, Poison::NotJson, Poison::Nul, Poison::WithKeyAndPromotion] {
        for position in 0..3 {
            shop.client += 1;
            shop.round(poison, position).await;
        }
    }
    if engine == TestEngine::Postgres {
        let attempts = shop.database.number("select last_value from attempts").await;
        let stored = shop.database.number("select count(*) from orders").await;
        assert!(attempts > stored, "{attempts}, {stored}: no batch was rolled back, so none was poisoned");
    }
}

async fn a_repetition_takes_no_use(engine: TestEngine) {
    let (database, _) = fresh(engine).await;
    let writer = OrderWriter::start(&database.url(), 1, &WriterMetrics::new(&Registry::off()));
    let shop = Shop { database, writer, client: 1 };
    let order = |key| keyed(shop.limited(shop.order(), "TWO", 2), key, 1);
    assert_eq!(shop.writer.place(order("first")).await.unwrap(), Placement::Stored);
    let (repeated, second) =
        futures_util::future::join(shop.writer.place(order("first")), shop.writer.place(order("second")))
            .await;
    assert!(matches!(repeated, Ok(Placement::Replayed { .. })), "{repeated:?}");
    assert_eq!(second.unwrap(), Placement::Stored, "one of two uses was left");
    let third = shop.writer.place(order("third")).await;
    assert!(matches!(third, Ok(Placement::LimitReached(LimitKind::Total))), "{third:?}");
}

/// A used key in a batch is looked up after the commit. That look may fail by itself, as where somebody cancels it: the
/// orders beside it are stored.
async fn what_fails_after_the_commit_undoes_no_order() {
    let (database, _) = fresh(TestEngine::Postgres).await;
    let writer = OrderWriter::start(&database.url(), 1, &WriterMetrics::new(&Registry::off()));
    let shop = Shop { database, writer, client: 1 };
    let first = keyed(shop.order(), "first", 1);
    let answer = first.order.id.to_string();
    assert_eq!(shop.writer.place(first).await.unwrap(), Placement::Stored);
    // Rows go in through the view; whoever reads it is cancelled.
    let cancel = "create function cancelled() returns boolean language plpgsql as \
        'begin raise exception ''cancelled'' using errcode = ''57014''; end'; \
        alter table idempotency_keys rename to kept_keys; \
        create view idempotency_keys as select * from kept_keys where cancelled()";
    shop.database.execute(cancel).await;
    let fresh = shop.order();
    let id = fresh.order.id.to_string();
    let (repeated, stored) = futures_util::future::join(
        shop.writer.place(keyed(shop.order(), "first", 1)),
        shop.writer.place(fresh),
    )
    .await;
    assert_eq!(stored.unwrap(), Placement::Stored);
    assert!(order_ids(&shop.database).await.contains(&id));
    let is_told_to_ask_again =
        matches!(repeated, Err(StorageError::OutcomeUnknown(_) | StorageError::KeyInProgress));
    assert!(is_told_to_ask_again, "{repeated:?}");
    shop.database
        .execute("drop view idempotency_keys; alter table kept_keys rename to idempotency_keys")
        .await;
    match shop.writer.place(keyed(shop.order(), "first", 1)).await {
        Ok(Placement::Replayed { body, .. }) => assert_eq!(body, answer.as_bytes()),
        other => panic!("{other:?}"),
    }
}

struct Shop {
    database: TestDatabase,
    writer: OrderWriter,
    /// Another one each round, with keys and promotions of its own.
    client: i64,
}

impl Shop {
    fn order(&self) -> NewOrder {
        new(&order(self.client, 1_795_000_000_000_000))
    }

    /// With a promotion that can be used so often, by everybody together.
    fn limited(&self, order: NewOrder, name: &str, most: i64) -> NewOrder {
        super::limited(order, &format!("{name}{}", self.client), most)
    }

    fn batch(&self, poison: Poison, position: usize) -> Vec<(Role, NewOrder)> {
        let plain = || self.order();
        let mut batch: Vec<_> = (0..8).map(|_| (Role::Neighbour, plain())).collect();
        for number in 0..4 {
            batch.push((Role::Neighbour, keyed(plain(), &format!("own-{number}"), 1)));
            batch.push((Role::Neighbour, self.limited(plain(), "MANY", 1000)));
        }
        batch.push((Role::Neighbour, keyed(self.limited(plain(), "MANY", 1000), "own-limited", 1)));
        batch.extend((0..3).map(|_| (Role::Twin, keyed(plain(), "twin", 2))));
        batch.extend((0..2).map(|request| (Role::Rival, keyed(plain(), "rival", request))));
        batch.push((Role::Repeated, keyed(plain(), "before", 7)));
        batch.push((Role::Repeated, keyed(self.limited(plain(), "MANY", 1000), "before", 7)));
        batch.push((Role::Repeated, keyed(self.limited(plain(), "GONE", 1), "before-gone", 7)));
        batch.push((Role::Reused, keyed(plain(), "before", 8)));
        batch.extend((0..3).map(|_| (Role::LastUse, self.limited(plain(), "LAST", 1))));
        batch.push((Role::UsedUp, self.limited(plain(), "GONE", 1)));
        batch.push((Role::UsedUp, keyed(self.limited(plain(), "GONE", 1), "used-up", 1)));
        let poisoned = match poison {
            Poison::None => return batch,
            Poison::NotJson => NewOrder { snapshot_json: "{".into(), ..plain() },
            Poison::Nul => NewOrder { snapshot_json: "{\"name\":\"\0\"}".into(), ..plain() },
            Poison::WithKeyAndPromotion => {
                let order = keyed(self.limited(plain(), "MANY", 1000), "poisoned", 1);
                NewOrder { snapshot_json: "{".into(), ..order }
            }
        };
        // First, in the middle, last.
        batch.insert(position * batch.len() / 2, (Role::Poisoned, poisoned));
        batch
    }

    async fn round(&self, poison: Poison, position: usize) {
        let seen = order_ids(&self.database).await;
        let before = keyed(self.order(), "before", 7);
        let before_gone = keyed(self.limited(self.order(), "GONE", 1), "before-gone", 7);
        let answers: HashSet<_> = [&before, &before_gone].map(|order| order.order.id.to_string()).into();
        for order in [before, before_gone] {
            assert_eq!(self.writer.place(order).await.unwrap(), Placement::Stored);
        }
        let (roles, orders): (Vec<_>, Vec<_>) = self.batch(poison, position).into_iter().unzip();
        let ids: Vec<String> = orders.iter().map(|order| order.order.id.to_string()).collect();
        let outcomes =
            futures_util::future::join_all(orders.into_iter().map(|order| self.writer.place(order))).await;
        let round =
            format!("{poison:?} at {position}: {:#?}", roles.iter().zip(&outcomes).collect::<Vec<_>>());

        let of = |role| {
            let all = roles.iter().zip(&ids).zip(&outcomes);
            all.filter(move |((other, _), _)| **other == role).map(|((_, id), outcome)| (id, outcome))
        };
        let is_stored = |outcome: &Outcome| matches!(outcome, Ok(Placement::Stored));
        let is_limit = |outcome: &Outcome| matches!(outcome, Ok(Placement::LimitReached(LimitKind::Total)));
        let is_replay_of = |outcome: &Outcome, answers: &HashSet<String>| {
            matches!(outcome, Ok(Placement::Replayed { body: bytes, .. })
                if answers.contains(std::str::from_utf8(bytes).unwrap()))
        };
        let winner = |role| -> HashSet<String> {
            let winners = of(role).filter(|(_, outcome)| is_stored(outcome)).map(|(id, _)| id.clone());
            let winners: HashSet<_> = winners.collect();
            assert_eq!(winners.len(), 1, "{role:?}, {round}");
            winners
        };
        assert!(of(Role::Neighbour).all(|(_, outcome)| is_stored(outcome)), "{round}");
        let twin = winner(Role::Twin);
        let mut twins = of(Role::Twin).filter(|(id, _)| !twin.contains(*id));
        assert!(twins.all(|(_, outcome)| is_replay_of(outcome, &twin)), "{round}");
        let rival = winner(Role::Rival);
        let mut rivals = of(Role::Rival).chain(of(Role::Reused)).filter(|(id, _)| !rival.contains(*id));
        assert!(rivals.all(|(_, outcome)| matches!(outcome, Ok(Placement::KeyReused))), "{round}");
        assert!(of(Role::Repeated).all(|(_, outcome)| is_replay_of(outcome, &answers)), "{round}");
        let last = winner(Role::LastUse);
        let mut late = of(Role::LastUse).chain(of(Role::UsedUp)).filter(|(id, _)| !last.contains(*id));
        assert!(late.all(|(_, outcome)| is_limit(outcome)), "{round}");
        let mut poisoned = of(Role::Poisoned);
        assert!(poisoned.all(|(_, outcome)| matches!(outcome, Err(StorageError::Refused))), "{round}");

        let acknowledged = ids.iter().zip(&outcomes).filter(|(_, outcome)| is_stored(outcome));
        let mut expected: HashSet<_> = acknowledged.map(|(id, _)| id.clone()).collect();
        if matches!(poison, Poison::None) && self.database.url().engine() == "postgresql" {
            let transactions = format!(
                "select count(distinct xmin::text) from orders where client_id = {} and id::text not in ('{}')",
                self.client,
                answers.iter().cloned().collect::<Vec<_>>().join("','")
            );
            assert_eq!(self.database.number(&transactions).await, 1, "it was not one batch: {round}");
        }
        expected.extend(answers);
        let stored = order_ids(&self.database).await;
        assert_eq!(stored.difference(&seen).cloned().collect::<HashSet<_>>(), expected, "{round}");
        self.counts_are_exact(&round).await;
    }

    /// Keys, redemptions and counters are those of the stored orders, and no others.
    async fn counts_are_exact(&self, round: &str) {
        let client = self.client;
        let number =
            async |sql: &str| self.database.number(&sql.replace("$client", &client.to_string())).await;
        let keys = "select count(*) from idempotency_keys where client_id = $client";
        assert_eq!(number(keys).await, 9, "five of their own, twin, rival, two from before: {round}");
        let dangling = "select count(*) from idempotency_keys where order_id not in (select id from orders)";
        assert_eq!(number(dangling).await, 0, "{round}");
        for (name, uses) in [("MANY", 5), ("LAST", 1), ("GONE", 1)] {
            let redeemed =
                format!("select count(*) from promotion_redemptions where promotion_code = '{name}$client'");
            assert_eq!(number(&redeemed).await, uses, "{name}, {round}");
            let used = format!("select used from limit_counters where name = '{name}$client'");
            assert_eq!(number(&used).await, uses, "{name}, {round}");
        }
    }
}
