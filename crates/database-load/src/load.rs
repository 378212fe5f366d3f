//! The course of a load: what has changed, is it right, publish it.

use std::time::Duration;

use database::{Connection, DatabaseUrl, JobLock};
use domain::{Clock, Pepper};
use sha2::{Digest, Sha256};
use telemetry::traces;

use crate::candidate::Candidate;
use crate::ledger::{self, ContentHash};
use crate::source::Content;
use crate::step::Step;
use crate::{CouponOptions, DataSet, Interruption, LoadError, Source, Summary, coupon_files};

/// How to load.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which data sets, in any order.
    pub only: Vec<DataSet>,
    /// Do everything but keep nothing.
    pub dry_run: bool,
    /// Publish again what is published already.
    pub force: bool,
    /// Retire everything that is live of a data set if its file has no rows.
    pub allow_empty: bool,
    /// How long to wait for another run.
    pub lock_wait: Duration,
    /// How to read coupon files.
    pub coupons: CouponOptions,
    /// The handle that calls the load off.
    pub interruption: Interruption,
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
            interruption: Interruption::default(),
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
        let check = Step::new(telemetry::span!("dataload.check"), &self.options.interruption);
        let candidates = check.run("check_failed", self.candidates(connection)).await?;
        if candidates.iter().all(|candidate| candidate.is_missing() || candidate.is_published) {
            return Ok(candidates
                .iter()
                .map(|candidate| candidate.nothing_to_do(self.step(candidate)))
                .collect());
        }
        let guard = LOCK.acquire(self.url, connection, self.options.lock_wait).await?;
        // Whoever held the lock may have published the same.
        let recheck = Step::new(telemetry::span!("dataload.recheck"), &self.options.interruption);
        let candidates = recheck.run("check_failed", self.candidates(connection)).await?;
        let summaries = self.publish_all(connection, candidates).await?;
        LOCK.release(guard, connection).await?;
        Ok(summaries)
    }

    /// A step of loading a data set. Its span names the file and the database.
    pub(crate) fn step(self, candidate: &Candidate) -> Step {
        let span = candidate.span();
        traces::set(&span, "db.system.name", self.url.engine());
        traces::set(&span, "db.namespace", self.url.name());
        Step::new(span, &self.options.interruption)
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
                let Options { coupons, interruption, .. } = self.options;
                return coupon_files::hash(files, FORMAT, coupons.min_files, interruption);
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
}
