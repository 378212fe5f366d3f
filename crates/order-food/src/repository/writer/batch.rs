//! One batch: what both engines have in common.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;

use uuid::Uuid;

use super::super::{NewOrder, OrderPlacement, StoredAnswer};

/// What became of each order of a batch; `None`: ask again.
pub(super) type Outcomes = Vec<Option<OrderPlacement>>;

/// The answer that was given to the order with a key.
#[derive(sqlx::FromRow)]
pub(super) struct AnswerRow {
    client_id: i64,
    key: String,
    #[sqlx(flatten)]
    answer: StoredAnswer,
}

impl AnswerRow {
    /// By client and key.
    pub(super) fn keyed(self) -> ((i64, String), StoredAnswer) {
        ((self.client_id, self.key), self.answer)
    }
}

/// The limits of a batch: how often each counter was used before, and which orders fit.
#[derive(Default)]
pub(super) struct Limits {
    /// Orders that do not fit, and why, by position.
    pub refused: HashMap<usize, OrderPlacement>,
    /// Orders that do, and the counters they use up one of.
    pub uses: Vec<(Uuid, String)>,
}

/// The counters that a batch needs, sorted: everyone locks them in the same order.
pub(super) fn counter_names(orders: &[&NewOrder]) -> Vec<String> {
    let limits = orders.iter().flat_map(|order| order.limits());
    let names: BTreeSet<_> = limits.map(|limit| limit.counter.clone()).collect();
    names.into_iter().collect()
}

/// Hands out what is left of each counter, first come first served.
pub(super) fn hand_out(orders: &[&NewOrder], mut used: HashMap<String, i64>) -> Limits {
    let mut limits = Limits::default();
    for (position, order) in orders.iter().enumerate() {
        let Some(redemption) = &order.redemption else { continue };
        let reached = redemption
            .limits
            .iter()
            .find(|limit| used.get(&limit.counter).copied().unwrap_or_default() >= limit.most);
        if let Some(limit) = reached {
            limits.refused.insert(position, OrderPlacement::LimitReached(limit.kind));
            continue;
        }
        for limit in &redemption.limits {
            *used.entry(limit.counter.clone()).or_default() += 1;
            limits.uses.push((order.order.id.uuid(), limit.counter.clone()));
        }
    }
    limits
}

/// A failure of the driver that says nothing of what the database has stored ([`database::is_certainly_not_done`]).
pub(super) fn outcome_unknown(why: &'static str) -> sqlx::Error {
    sqlx::Error::Io(io::Error::other(why))
}

/// A failure after the commit says nothing of the orders: whether they are there has to be asked.
pub(super) fn after_commit(failure: &sqlx::Error) -> sqlx::Error {
    tracing::warn!(
        cause = telemetry::causes(failure, database::words),
        "after a commit its keys could not be looked up"
    );
    outcome_unknown("what is stored under its keys could not be read")
}

/// What becomes of orders that nothing but their own ids can hold up: one that was not stored now is there from an
/// earlier attempt.
pub(super) fn all_stored(orders: &[&NewOrder]) -> Outcomes {
    vec![Some(OrderPlacement::Stored); orders.len()]
}

/// Says of each order what became of it: refused, stored, or its key's doing.
pub(super) fn outcomes(
    orders: &[&NewOrder],
    limits: &Limits,
    stored: &HashSet<Uuid>,
    answers: &HashMap<(i64, String), StoredAnswer>,
) -> Outcomes {
    // Uses that were handed to orders whose key belongs to another one.
    let returned: HashSet<&str> =
        limits.uses.iter().filter(|(id, _)| !stored.contains(id)).map(|(_, counter)| &**counter).collect();
    let may_fit_now = |order: &NewOrder| order.limits().any(|limit| returned.contains(&*limit.counter));
    let outcome = |(position, order): (usize, &&NewOrder)| {
        let id = order.order.id.uuid();
        if stored.contains(&id) {
            return Some(OrderPlacement::Stored);
        }
        let answer = order.idempotency.as_ref().and_then(|claim| {
            let answer = answers.get(&(order.order.client_id.get(), claim.key.as_str().to_owned()))?;
            Some(answer.meets(id, &claim.request_hash))
        });
        match (answer, limits.refused.get(&position)) {
            // Whoever has the key was answered already, whatever the limits say by now.
            (Some(answer), _) => Some(answer),
            (None, Some(_)) if may_fit_now(order) => None,
            (None, Some(refused)) => Some(refused.clone()),
            // Not stored now and not held up by a key: an earlier attempt has stored it.
            (None, None) if order.idempotency.is_none() => Some(OrderPlacement::Stored),
            (None, None) => None,
        }
    };
    orders.iter().enumerate().map(outcome).collect()
}

/// Orders with a key that were not stored now: who has the key?
pub(super) fn conflicts<'o>(orders: &[&'o NewOrder], stored: &HashSet<Uuid>) -> Vec<(i64, &'o str)> {
    let is_conflict = |order: &&'o NewOrder| {
        let claim = order.idempotency.as_ref()?;
        let is_open = !stored.contains(&order.order.id.uuid());
        is_open.then(|| (order.order.client_id.get(), claim.key.as_str()))
    };
    orders.iter().filter_map(is_conflict).collect()
}
