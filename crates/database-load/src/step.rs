//! A part of a load, as a span that says how it ended.

use std::borrow::Cow;

use telemetry::traces;
use tracing::Span;

use crate::{Interruption, LoadError};

/// `error.type` of what a signal ended.
pub const INTERRUPTED: &str = "interrupted";

/// A span; dropped before it was [ended](Step::end) while the load is called off, it says so.
pub(crate) struct Step {
    span: Span,
    interruption: Interruption,
    is_over: bool,
}

impl Step {
    pub fn new(span: Span, interruption: &Interruption) -> Self {
        Self { span, interruption: interruption.clone(), is_over: false }
    }

    pub const fn span(&self) -> &Span {
        &self.span
    }

    /// It has done what it was for. The span ends when this is dropped.
    pub const fn end(&mut self) {
        self.is_over = true;
    }

    /// It failed; what a signal made fail is interrupted, whatever the failure looks like.
    pub fn fail(&mut self, kind: &'static str, description: impl Into<Cow<'static, str>>) {
        if !self.interruption.is_raised() {
            traces::fail(&self.span, kind, description);
            self.is_over = true;
        }
    }

    /// Does some work, with which the span ends; `failure` is what its failure is called. The span is not entered: the
    /// thread that works for SQLite holds the span it was called in, and may wait for a lock long after a signal.
    pub async fn run<T>(
        mut self,
        failure: &'static str,
        work: impl Future<Output = Result<T, LoadError>>,
    ) -> Result<T, LoadError> {
        let outcome = work.await;
        match &outcome {
            Ok(_) => self.end(),
            Err(error) => self.fail(failure, error.to_string()),
        }
        outcome
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.is_over && self.interruption.is_raised() {
            traces::fail(&self.span, INTERRUPTED, "stopped by a signal");
        }
    }
}
