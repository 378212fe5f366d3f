//! The course of a load: what has changed, is it right, publish it.

use std::time::{Duration, Instant};

use database::{Connection, DatabaseUrl, JobLock, Transaction};
use domain::text::normalized;
use domain::{Clock, Pepper, Product, Timestamp};
use sha2::{Digest, Sha256};
use telemetry::traces;
use tracing::{Instrument, Span};

use crate::candidate::Candidate;
use crate::coupon_digest;
use crate::ledger::{self, ContentHash};
use crate::orders::{self, Known};
use crate::parsed::Parsed;
use crate::source::Content;
use crate::spellings::{Named, Spellings};
use crate::users::StoredClient;
use crate::{BadData, Counts, CouponOptions, DataSet, LoadError, Outcome, Source, Summary};
use crate::{coupon_files, coupons, products, promotions, taken_away, users};

/// How to load.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which data sets, in any order.
    pub only: Vec<DataSet>,
    /// Do everything but keep nothing.
    pub dry_run: bool,
    /// Publish again what is published already.
    pub force: bool,
    /// Take away all that is live of a data set if its file has no rows.
    pub allow_empty: bool,
    /// How long to wait for another run.
    pub lock_wait: Duration,
    /// How to read coupon files.
    pub coupons: CouponOptions,
}

impl Default for Options {
    fn default() -> Self {
        let lock_wait = Duration::from_mins(2);
        Self {
            only: DataSet::ALL.to_vec(),
            dry_run: false,
            force: false,
            allow_empty: false,
            lock_wait,
            coupons: CouponOptions::default(),
        }
    }
}

/// A load of some data sets from one source.
#[derive(Clone, Copy)]
pub struct Load<'l> {
    /// The database.
    pub url: &'l DatabaseUrl,
    /// The files.
    pub source: &'l Source,
    /// What keys are hashed under.
    pub pepper: &'l Pepper,
    /// What "now" is.
    pub clock: &'l dyn Clock,
    /// How to load.
    pub options: &'l Options,
}

/// Raised when the meaning of the files changes, so that what is published is read again by a new release.
const FORMAT: u8 = 1;

const LOCK: JobLock = JobLock { name: "load", key: 0x6f66_6461_7461_6c64 };

impl Load<'_> {
    /// Loads. Looks first and locks only if something changed; nothing is written before every file has been found
    /// right; each data set is published in one transaction.
    pub async fn run(self, connection: &mut Connection) -> Result<Vec<Summary>, LoadError> {
        let candidates = self.candidates(connection).instrument(telemetry::span!("dataload.check")).await?;
        if candidates.iter().all(|candidate| candidate.is_missing() || candidate.is_published) {
            return Ok(candidates
                .iter()
                .map(|candidate| candidate.nothing_to_do(&candidate.span()))
                .collect());
        }
        let guard = LOCK.acquire(self.url, connection, self.options.lock_wait).await?;
        // Whoever held the lock may have published the same.
        let candidates = self.candidates(connection).instrument(telemetry::span!("dataload.check")).await?;
        let summaries = self.publish_all(connection, candidates).await?;
        LOCK.release(guard, connection).await?;
        Ok(summaries)
    }

    async fn candidates(self, connection: &mut Connection) -> Result<Vec<Candidate>, LoadError> {
        let mut data_sets = self.options.only.clone();
        data_sets.sort_unstable();
        data_sets.dedup();
        let mut candidates = Vec::new();
        for &data_set in &data_sets {
            let content = self.source.read(data_set)?;
            let hash = self.hash(data_set, &content)?;
            let published = ledger::published_hash(connection.as_mut(), data_set).await?;
            let is_published = !self.options.force && published.as_deref() == Some(&hash[..]);
            candidates.push(Candidate { data_set, content, hash, is_published });
        }
        if candidates.iter().all(Candidate::is_missing) {
            return Err(self.source.nothing_to_load(&data_sets));
        }
        Ok(candidates)
    }

    fn hash(self, data_set: DataSet, content: &Content) -> Result<ContentHash, LoadError> {
        let bytes = match content {
            Content::Coupons(files) => {
                return coupon_files::hash(files, FORMAT, self.options.coupons.min_files);
            }
            Content::File(bytes) => bytes.as_slice(),
            Content::None => &[],
        };
        let mut hash = Sha256::new_with_prefix([FORMAT]);
        if data_set == DataSet::Users {
            hash.update(self.pepper.fingerprint());
        }
        hash.update(bytes);
        Ok(hash.finalize().into())
    }

    async fn publish_all(
        self,
        connection: &mut Connection,
        candidates: Vec<Candidate>,
    ) -> Result<Vec<Summary>, LoadError> {
        let parsed = self.parse(connection, &candidates).await?;
        if !self.options.allow_empty {
            let parsed = parsed.iter().map(|(parsed, _)| parsed.as_ref());
            let data_sets =
                candidates.iter().zip(parsed).filter_map(|(candidate, parsed)| Some((candidate, parsed?)));
            taken_away::check(connection, data_sets, self.options.coupons.min_files).await?;
        }
        let mut summaries = Vec::new();
        if self.options.dry_run {
            // One transaction, so that orders find the clients that this run would have brought; then forgotten.
            let mut transaction = connection.begin_write().await?;
            for (candidate, (parsed, span)) in candidates.iter().zip(&parsed) {
                summaries.push(match parsed {
                    None => candidate.nothing_to_do(span),
                    Some(parsed) => {
                        let started = Instant::now();
                        let now = self.clock.now();
                        let counts =
                            self.apply(&mut transaction, parsed, now).instrument(span.clone()).await?;
                        let taken_away = match parsed {
                            Parsed::Coupons(_) => {
                                taken_away::least_of_codes(transaction.connection(), counts.read).await?
                            }
                            _ => counts,
                        };
                        taken_away::warn(candidate.data_set, &taken_away);
                        candidate.summary(span, Outcome::DryRun, counts, started)
                    }
                });
            }
            return Ok(summaries);
        }
        for (candidate, (parsed, span)) in candidates.iter().zip(parsed) {
            // Each span ends with its data set.
            let span = &span;
            summaries.push(match parsed {
                None => candidate.nothing_to_do(span),
                Some(parsed) => {
                    let publishing = telemetry::span!(parent: span, "dataload.publish");
                    let published = self.publish(connection, candidate, parsed, span).instrument(publishing);
                    published.await.inspect_err(|_| traces::fail(span, "publish_failed", "not published"))?
                }
            });
        }
        Ok(summaries)
    }

    /// Reads every changed file; orders last, because they may name what the other files bring.
    async fn parse(
        self,
        connection: &mut Connection,
        candidates: &[Candidate],
    ) -> Result<Vec<(Option<Parsed>, Span)>, LoadError> {
        let stored_products = products::all(connection.as_mut()).await?;
        let stored_clients = users::clients(connection.as_mut()).await?;
        let mut faults = Vec::new();
        let mut parsed: Vec<(Option<Parsed>, Span)> = Vec::new();
        for candidate in candidates {
            let span = candidate.span();
            let _parsing = (!candidate.is_published)
                .then(|| telemetry::span!(parent: &span, "dataload.parse").entered());
            let file = candidate.data_set.file_name();
            let bytes = match &candidate.content {
                _ if candidate.is_published => None,
                Content::None => None,
                Content::File(bytes) => Some(bytes),
                Content::Coupons(files) => {
                    let corpus = coupon_digest::read(files, &self.options.coupons).inspect_err(|_| {
                        traces::fail(&span, "bad_data", "a file is wrong or does not fit");
                    })?;
                    parsed.push((Some(Parsed::Coupons(corpus.into())), span));
                    continue;
                }
            };
            let Some(bytes) = bytes else {
                parsed.push((None, span));
                continue;
            };
            let outcome = match candidate.data_set {
                DataSet::Products => products::parse(file, bytes).map(Parsed::Products),
                DataSet::Users => users::parse(file, bytes, self.pepper).map(Parsed::Users),
                DataSet::Promotions => promotions::parse(file, bytes).map(Parsed::Promotions),
                DataSet::Coupons => continue,
                // What is wrong above would only look like unknown names here.
                DataSet::Orders if !faults.is_empty() => continue,
                DataSet::Orders => {
                    let known = Self::known(&stored_products, &stored_clients, &parsed);
                    orders::parse(file, bytes, &known).map(Parsed::Orders)
                }
            };
            match outcome {
                Ok(data) => parsed.push((Some(data), span)),
                Err(BadData(found)) => {
                    traces::fail(&span, "bad_data", "the file is wrong");
                    faults.extend(found);
                }
            }
        }
        if faults.is_empty() { Ok(parsed) } else { Err(BadData(faults).into()) }
    }

    fn known<'k>(
        stored_products: &'k [Product],
        stored_clients: &'k Spellings<StoredClient>,
        parsed: &'k [(Option<Parsed>, Span)],
    ) -> Known<'k> {
        let mut known = Known {
            products: stored_products.iter().map(|product| (product.id, product)).collect(),
            clients: stored_clients.iter().map(|client| normalized(client.name())).collect(),
        };
        for data in parsed.iter().filter_map(|(data, _)| data.as_ref()) {
            match data {
                Parsed::Products(products) => {
                    known.products.extend(products.iter().map(|product| (product.id, product)));
                }
                Parsed::Users(users) => {
                    known.clients.extend(users.iter().map(|user| normalized(&user.client)));
                }
                Parsed::Promotions(_) | Parsed::Orders(_) | Parsed::Coupons(_) => {}
            }
        }
        known
    }

    async fn publish(
        self,
        connection: &mut Connection,
        candidate: &Candidate,
        parsed: Parsed,
        span: &Span,
    ) -> Result<Summary, LoadError> {
        let (started, started_at) = (Instant::now(), self.clock.now());
        if let Parsed::Coupons(corpus) = parsed {
            let counts = coupons::publish(connection, *corpus, &candidate.hash, self.clock).await?;
            taken_away::warn(candidate.data_set, &counts);
            return Ok(candidate.summary(span, Outcome::Published, counts, started));
        }
        let mut transaction = connection.begin_write().await?;
        let counts = self.apply(&mut transaction, &parsed, started_at).await?;
        let (data_set, now) = (candidate.data_set, self.clock.now());
        ledger::publish(transaction.connection(), data_set, &candidate.hash, counts.read, started_at, now)
            .await?;
        transaction.commit().await?;
        taken_away::warn(data_set, &counts);
        Ok(candidate.summary(span, Outcome::Published, counts, started))
    }

    async fn apply(
        self,
        transaction: &mut Transaction<'_>,
        parsed: &Parsed,
        now: Timestamp,
    ) -> Result<Counts, sqlx::Error> {
        match parsed {
            Parsed::Products(products) => products::apply(transaction.connection(), products, now).await,
            Parsed::Users(users) => users::apply(transaction.connection(), users, self.pepper, now).await,
            Parsed::Promotions(promotions) => {
                promotions::apply(transaction.connection(), promotions, now).await
            }
            Parsed::Coupons(corpus) => Ok(Counts { read: corpus.codes.found(), ..Counts::default() }),
            Parsed::Orders(orders) => {
                let clients = users::clients(transaction.connection()).await?;
                orders::apply(transaction.connection(), orders, &clients).await
            }
        }
    }
}
