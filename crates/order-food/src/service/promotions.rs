//! Promo codes, kept in memory: what is a code worth?

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use domain::{ClientId, CodeSet, CounterUse, CouponCode, LimitKind, Promotion, text};
use storage::{Database, Known, StorageError};

/// What a code is.
#[derive(Debug, Clone)]
pub enum Coupon {
    /// A promotion, whose conditions and limits are still to be checked.
    Promotion(Arc<Promotion>),
    /// A code of the coupon files: accepted, and worth nothing by itself.
    Corpus,
    /// Neither, or switched off.
    Unknown,
}

/// Knows every promotion and every code of the coupon files.
pub struct Promotions {
    database: Database,
    /// By their normalized codes.
    by_code: ArcSwapOption<HashMap<String, Arc<Promotion>>>,
    corpus: ArcSwapOption<CodeSet>,
    /// How many promotions are of a kind that this release does not know.
    unknown_kinds: AtomicUsize,
}

impl Promotions {
    /// Nothing is known yet.
    pub fn new(database: Database) -> Self {
        Self {
            database,
            by_code: ArcSwapOption::empty(),
            corpus: ArcSwapOption::empty(),
            unknown_kinds: AtomicUsize::new(0),
        }
    }

    /// What the code is; a promotion decides before the coupon files do. `None` before they were first loaded.
    pub fn find(&self, code: &CouponCode) -> Option<Coupon> {
        let (promotions, corpus) = (self.by_code.load(), self.corpus.load());
        let (promotions, corpus) = (promotions.as_ref()?, corpus.as_ref()?);
        Some(match promotions.get(&*text::normalized(code.as_str())) {
            Some(promotion) if promotion.active => Coupon::Promotion(promotion.clone()),
            None if corpus.contains(code.as_str()) => Coupon::Corpus,
            Some(_) | None => Coupon::Unknown,
        })
    }

    /// How many promotions there are, and how many codes of the coupon files.
    pub fn counts(&self) -> (usize, usize) {
        let promotions = self.by_code.load().as_ref().map_or(0, |promotions| promotions.len());
        let codes = self.corpus.load().as_ref().map_or(0, |corpus| corpus.len());
        (promotions, codes)
    }

    /// How many promotions are of a kind that this release does not know.
    pub fn unknown_kinds(&self) -> usize {
        self.unknown_kinds.load(Ordering::Relaxed)
    }

    /// Reads the promotions again and puts them in place at once.
    pub async fn reload(&self) -> Result<(), StorageError> {
        let Known { items, unknown } = self.database.promotions().await?;
        if unknown > 0 {
            tracing::warn!(
                promotions = unknown,
                "promotions of a kind that this release does not know cannot be used here"
            );
        }
        self.unknown_kinds.store(unknown, Ordering::Relaxed);
        self.replace(items);
        Ok(())
    }

    /// Puts these promotions in place of all others.
    pub fn replace(&self, promotions: Vec<Promotion>) {
        tracing::info!(promotions = promotions.len(), "the promotions were read");
        let by_code = promotions
            .into_iter()
            .map(|promotion| (text::normalized(promotion.code.as_str()).into_owned(), Arc::new(promotion)));
        self.by_code.store(Some(Arc::new(by_code.collect())));
    }

    /// Reads the codes of the coupon files again and puts them in place at once.
    pub async fn reload_corpus(&self) -> Result<(), StorageError> {
        self.replace_corpus(self.database.coupon_codes().await?);
        Ok(())
    }

    /// Puts these codes in place of all others.
    pub fn replace_corpus(&self, codes: CodeSet) {
        tracing::info!(
            codes = codes.len(),
            memory_bytes = codes.memory_bytes(),
            "the codes of the coupon files were read"
        );
        self.corpus.store(Some(Arc::new(codes)));
    }

    /// The first of the counters that has not enough units left now. Nothing is reserved.
    pub async fn reached(&self, wanted: &[CounterUse]) -> Result<Option<LimitKind>, StorageError> {
        if wanted.is_empty() {
            return Ok(None);
        }
        let counters: Vec<&str> = wanted.iter().map(|wanted| wanted.counter.as_str()).collect();
        let used: HashMap<String, i64> = self.database.used(&counters).await?.into_iter().collect();
        let is_reached = |wanted: &&CounterUse| {
            used.get(&wanted.counter).copied().unwrap_or_default() + wanted.units > wanted.most
        };
        Ok(wanted.iter().find(is_reached).map(|wanted| wanted.kind))
    }
}

/// The counters that one more use of a promotion takes a unit of. A client's own only if the client is known.
pub fn uses(promotion: &Promotion, client_id: Option<ClientId>) -> Vec<CounterUse> {
    let code = promotion.code.as_str();
    let one_of = |counter, most: u32, kind| CounterUse { counter, units: 1, most: most.into(), kind };
    let total = promotion.max_uses.map(|most| one_of(format!("promotion:{code}"), most, LimitKind::Total));
    let own = promotion.max_uses_per_client.zip(client_id).map(|(most, client_id)| {
        one_of(format!("promotion:{code}:client:{}", client_id.get()), most, LimitKind::PerClient)
    });
    total.into_iter().chain(own).collect()
}
