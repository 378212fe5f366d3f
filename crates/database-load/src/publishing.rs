//! Publishes the data sets that were read, each at once. A dry run applies all of them in one transaction and rolls it
//! back.

use std::time::Instant;

use database::{Connection, Transaction};
use domain::Timestamp;

use crate::candidate::Candidate;
use crate::parsed::Parsed;
use crate::step::Step;
use crate::{Counts, Load, LoadError, Outcome, Summary};
use crate::{coupons, ledger, orders, products, promotions, taken_away, users};

impl Load<'_> {
    pub(crate) async fn publish_all(
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
            // One transaction, so that orders find the clients that this run would have added. It is rolled back
            // when it is dropped.
            let mut transaction = connection.begin_write().await?;
            for (candidate, (parsed, step)) in candidates.iter().zip(parsed) {
                summaries.push(match parsed {
                    None => candidate.nothing_to_do(step),
                    Some(parsed) => self.try_out(&mut transaction, candidate, &parsed, step).await?,
                });
            }
            return Ok(summaries);
        }
        // Each step ends with its data set.
        for (candidate, (parsed, mut step)) in candidates.iter().zip(parsed) {
            let Some(parsed) = parsed else {
                summaries.push(candidate.nothing_to_do(step));
                continue;
            };
            let started = Instant::now();
            let span = telemetry::span!(parent: step.span(), "dataload.publish");
            let publishing = Step::new(span, &self.options.interruption);
            let published = publishing.run("publish_failed", self.publish(connection, candidate, parsed));
            match published.await {
                Ok(counts) => {
                    summaries.push(candidate.summary(step, Outcome::Published, counts, started));
                }
                Err(error) => {
                    step.fail("publish_failed", "not published");
                    return Err(error);
                }
            }
        }
        Ok(summaries)
    }

    async fn try_out(
        self,
        transaction: &mut Transaction<'_>,
        candidate: &Candidate,
        parsed: &Parsed,
        step: Step,
    ) -> Result<Summary, LoadError> {
        let started = Instant::now();
        let counts = self.apply(transaction, parsed, self.clock.now()).await?;
        let taken_away = match parsed {
            Parsed::Coupons(_) => taken_away::least_of_codes(transaction.connection(), counts.read).await?,
            _ => counts,
        };
        taken_away::warn(candidate.data_set, &taken_away);
        Ok(candidate.summary(step, Outcome::DryRun, counts, started))
    }

    async fn publish(
        self,
        connection: &mut Connection,
        candidate: &Candidate,
        parsed: Parsed,
    ) -> Result<Counts, LoadError> {
        let started_at = self.clock.now();
        let data_set = candidate.data_set;
        if let Parsed::Coupons(corpus) = parsed {
            let counts = coupons::publish(connection, *corpus, &candidate.hash, self.clock).await?;
            taken_away::warn(data_set, &counts);
            return Ok(counts);
        }
        let mut transaction = connection.begin_write().await?;
        let counts = self.apply(&mut transaction, &parsed, started_at).await?;
        let now = self.clock.now();
        ledger::publish(transaction.connection(), data_set, &candidate.hash, counts.read, started_at, now)
            .await?;
        transaction.commit().await?;
        taken_away::warn(data_set, &counts);
        Ok(counts)
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
