//! One batch: what both engines have in common.

use std::collections::{BTreeSet, HashMap, HashSet};

use domain::{NewOrder, Placement, StoredResponse};
use uuid::Uuid;

use super::failure::StoreFailure;

/// The most orders in one commit.
pub(super) const BATCH_ORDERS: usize = 256;
/// The most bytes of orders in one commit; one order is at most some 100 KiB.
pub(super) const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// What became of each order of a batch; `None`: try again.
pub(super) type BatchOutcomes = Vec<Option<Placement>>;

/// Responses by client and key.
pub(super) type StoredResponses = HashMap<(i64, String), StoredResponse>;

/// The response to the order with a key.
#[derive(sqlx::FromRow)]
pub(super) struct ResponseRow {
    client_id: i64,
    key: String,
    request_hash: Vec<u8>,
    order_id: Uuid,
    response: Vec<u8>,
}

/// The rows by client and key.
pub(super) fn by_key(rows: Vec<ResponseRow>) -> StoredResponses {
    let keyed = |row: ResponseRow| {
        let ResponseRow { client_id, key, request_hash, order_id, response } = row;
        ((client_id, key), StoredResponse { request_hash, order_id, response: response.into() })
    };
    rows.into_iter().map(keyed).collect()
}

/// What a batch gets of its counters.
#[derive(Default)]
pub(super) struct Grants {
    /// The orders that get nothing, by position, and why.
    pub refused: HashMap<usize, Placement>,
    /// The units that the other orders get.
    pub uses: Vec<Grant>,
}

/// Units of a counter for an order.
pub(super) struct Grant {
    pub order_id: Uuid,
    pub counter: String,
    pub units: i64,
}

/// The counters that a batch needs, sorted: every transaction locks them in the same order.
pub(super) fn counter_names(orders: &[&NewOrder]) -> Vec<String> {
    let uses = orders.iter().flat_map(|order| &order.uses);
    let names: BTreeSet<_> = uses.map(|wanted| wanted.counter.clone()).collect();
    names.into_iter().collect()
}

/// Hands out what is left of each counter, first come first served. An order gets all that it wants or nothing.
pub(super) fn hand_out(orders: &[&NewOrder], mut used: HashMap<String, i64>) -> Grants {
    let mut grants = Grants::default();
    for (position, order) in orders.iter().enumerate() {
        let is_too_much = |counter: &str, most: i64| {
            let used = used.get(counter).copied().unwrap_or_default();
            used.saturating_add(order.units_of(counter)) > most
        };
        let reached = order.uses.iter().find(|wanted| is_too_much(&wanted.counter, wanted.most));
        if let Some(wanted) = reached {
            grants.refused.insert(position, Placement::LimitReached(wanted.kind));
            continue;
        }
        for wanted in &order.uses {
            *used.entry(wanted.counter.clone()).or_default() += wanted.units;
            let order_id = order.order.id.uuid();
            grants.uses.push(Grant { order_id, counter: wanted.counter.clone(), units: wanted.units });
        }
    }
    grants
}

/// A failure after the commit says nothing about the orders: the database must be asked whether they are there.
pub(super) fn after_commit(failure: &sqlx::Error) -> StoreFailure {
    tracing::warn!(
        cause = telemetry::causes(failure, database::words),
        "the keys of a batch could not be looked up after its commit"
    );
    StoreFailure::outcome_unknown("what is stored under its keys could not be read")
}

/// The outcomes of orders that only their own ids can hold up: an order that was not stored now is there from an earlier
/// attempt.
pub(super) fn all_stored(orders: &[&NewOrder]) -> BatchOutcomes {
    vec![Some(Placement::Stored); orders.len()]
}

/// The outcome of each order: stored, refused, or what the owner of its key got.
pub(super) fn outcomes(
    orders: &[&NewOrder],
    grants: &Grants,
    stored: &HashSet<Uuid>,
    responses: &StoredResponses,
) -> BatchOutcomes {
    // Units that were granted to orders whose key belongs to another one.
    let returned: HashSet<&str> = grants
        .uses
        .iter()
        .filter(|grant| !stored.contains(&grant.order_id))
        .map(|grant| &*grant.counter)
        .collect();
    let may_fit_now = |order: &NewOrder| order.uses.iter().any(|wanted| returned.contains(&*wanted.counter));
    let outcome = |(position, order): (usize, &&NewOrder)| {
        let id = order.order.id.uuid();
        if stored.contains(&id) {
            return Some(Placement::Stored);
        }
        let response = order.idempotency.as_ref().and_then(|claim| {
            let response = responses.get(&(order.order.client_id.get(), claim.key.as_str().to_owned()))?;
            Some(response.placement_of(id, &claim.request_hash))
        });
        match (response, grants.refused.get(&position)) {
            // An order that has the key was acknowledged already, whatever the limits are by now.
            (Some(response), _) => Some(response),
            (None, Some(_)) if may_fit_now(order) => None,
            (None, Some(refused)) => Some(refused.clone()),
            // Not stored now and not held up by a key: an earlier attempt has stored it.
            (None, None) if order.idempotency.is_none() => Some(Placement::Stored),
            (None, None) => None,
        }
    };
    orders.iter().enumerate().map(outcome).collect()
}

/// The keys of orders that were not stored now: other orders may have them.
pub(super) fn conflicts<'o>(orders: &[&'o NewOrder], stored: &HashSet<Uuid>) -> Vec<(i64, &'o str)> {
    let is_conflict = |order: &&'o NewOrder| {
        let claim = order.idempotency.as_ref()?;
        let is_open = !stored.contains(&order.order.id.uuid());
        is_open.then(|| (order.order.client_id.get(), claim.key.as_str()))
    };
    orders.iter().filter_map(is_conflict).collect()
}
