//! Promo codes, kept in memory: what is a code worth?

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use domain::{ClientId, CodeSet, CouponCode, Promotion, text};

use crate::repository::{LimitKind, PromotionRepository, RepositoryError, UseLimit};

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
    repository: Arc<dyn PromotionRepository>,
    /// By their normalized codes.
    by_code: ArcSwapOption<HashMap<String, Arc<Promotion>>>,
    corpus: ArcSwapOption<CodeSet>,
}

impl Promotions {
    /// Nothing is known yet.
    pub fn new(repository: Arc<dyn PromotionRepository>) -> Self {
        Self { repository, by_code: ArcSwapOption::empty(), corpus: ArcSwapOption::empty() }
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

    /// Reads the promotions again and puts them in place at once.
    pub async fn reload(&self) -> Result<(), RepositoryError> {
        let promotions = self.repository.promotions().await?;
        tracing::info!(promotions = promotions.len(), "the promotions were read");
        let by_code = promotions
            .into_iter()
            .map(|promotion| (text::normalized(promotion.code.as_str()).into_owned(), Arc::new(promotion)));
        self.by_code.store(Some(Arc::new(by_code.collect())));
        Ok(())
    }

    /// Reads the codes of the coupon files again and puts them in place at once.
    pub async fn reload_corpus(&self) -> Result<(), RepositoryError> {
        let codes = self.repository.corpus().await?;
        tracing::info!(
            codes = codes.len(),
            memory_bytes = codes.memory_bytes(),
            "the codes of the coupon files were read"
        );
        self.corpus.store(Some(Arc::new(codes)));
        Ok(())
    }

    /// The first of the limits that is used up now. Nothing is reserved.
    pub async fn reached(&self, limits: &[UseLimit]) -> Result<Option<LimitKind>, RepositoryError> {
        if limits.is_empty() {
            return Ok(None);
        }
        let counters: Vec<&str> = limits.iter().map(|limit| limit.counter.as_str()).collect();
        let used: HashMap<String, i64> = self.repository.used(&counters).await?.into_iter().collect();
        let is_reached =
            |limit: &&UseLimit| used.get(&limit.counter).copied().unwrap_or_default() >= limit.most;
        Ok(limits.iter().find(is_reached).map(|limit| limit.kind))
    }
}

/// The counters that one more use of a promotion counts on; a client's own only where the client is known.
pub fn limits(promotion: &Promotion, client_id: Option<ClientId>) -> Vec<UseLimit> {
    let code = promotion.code.as_str();
    let total = promotion.max_uses.map(|most| UseLimit {
        counter: format!("promotion:{code}"),
        most: most.into(),
        kind: LimitKind::Total,
    });
    let own = promotion.max_uses_per_client.zip(client_id).map(|(most, client_id)| UseLimit {
        counter: format!("promotion:{code}:client:{}", client_id.get()),
        most: most.into(),
        kind: LimitKind::PerClient,
    });
    total.into_iter().chain(own).collect()
}
