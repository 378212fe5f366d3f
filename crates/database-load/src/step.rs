//! A part of a load, with a span that tells its outcome.

use std::borrow::Cow;

use telemetry::traces;
use tracing::Span;

use crate::{Interruption, LoadError};

/// The `error.type` of spans that a signal ended.
pub const INTERRUPTED: &str = "interrupted";

/// A part of a load, with its span. If the load is called off and the step is dropped before its [end](Step::end), the
/// span is marked as interrupted.
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

    /// Marks the step as done. Its span ends when the step is dropped.
    pub const fn end(&mut self) {
        self.is_over = true;
    }

    /// Marks the step as failed. If the load is called off, the step counts as interrupted, whatever the failure is.
    pub fn fail(&mut self, kind: &'static str, description: impl Into<Cow<'static, str>>) {
        if !self.interruption.is_raised() {
            traces::fail(&self.span, kind, description);
            self.is_over = true;
        }
    }

    /// Does the work of the step and ends it. `failure` is the `error.type` if the work fails. The span is not entered:
    /// the thread that works for SQLite holds the span it was called in, and may wait for a lock long after a signal.
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
