//! A file that may have to be loaded, with its span and its summary.

use std::time::Instant;

use telemetry::traces;
use tracing::Span;

use crate::ledger::ContentHash;
use crate::source::Content;
use crate::step::Step;
use crate::{Counts, DataSet, Outcome, Summary};

/// The file of a data set, and whether the same content is published already.
pub(crate) struct Candidate {
    pub data_set: DataSet,
    pub content: Content,
    pub hash: ContentHash,
    pub is_published: bool,
}

impl Candidate {
    pub(crate) const fn is_missing(&self) -> bool {
        matches!(self.content, Content::None)
    }

    /// The span of loading it, such as `dataload.loadProducts`.
    pub(crate) fn span(&self) -> Span {
        let name = match self.data_set {
            DataSet::Products => "dataload.loadProducts",
            DataSet::Users => "dataload.loadUsers",
            DataSet::Promotions => "dataload.loadPromotions",
            DataSet::Orders => "dataload.loadOrders",
            DataSet::Coupons => "dataload.loadCoupons",
        };
        let span = telemetry::span!("dataload.load", otel.name = name);
        self.content.describe(&span, self.data_set.file_name());
        span
    }

    /// Notes the outcome and the counts on the span of the step, ends the step, and returns the summary.
    pub(crate) fn summary(
        &self,
        mut step: Step,
        outcome: Outcome,
        counts: Counts,
        started: Instant,
    ) -> Summary {
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let span = step.span();
        traces::set(span, "dataload.outcome", outcome.name());
        let rows = [
            ("dataload.rows.read", counts.read),
            ("dataload.rows.added", counts.added),
            ("dataload.rows.changed", counts.changed),
            ("dataload.rows.retired", counts.retired),
        ];
        for (name, rows) in rows {
            traces::set(span, name, i64::try_from(rows).unwrap_or(i64::MAX));
        }
        step.end();
        Summary { data_set: self.data_set, outcome, counts, duration_ms }
    }

    pub(crate) fn nothing_to_do(&self, step: Step) -> Summary {
        let outcome = if self.is_missing() { Outcome::NoFile } else { Outcome::Unchanged };
        let summary = self.summary(step, outcome, Counts::default(), Instant::now());
        Summary { duration_ms: 0, ..summary }
    }
}
