//! Warnings that a PostgreSQL server sends beside its answers. The driver hands them to the log and to nothing else, and
//! one of them changes what an answer means: a commit whose wait for a standby was broken off is reported as done.

use std::cell::Cell;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Where the driver logs what the server has sent.
const NOTICES: &str = "sqlx::postgres::notice";

tokio::task_local! {
    // ok: a task-local has to be a static.
    static HAS_WARNED: Cell<bool>;
}

/// Runs the future; also returns whether the server sent a warning meanwhile. It is noticed where the program's logging
/// was started by [`crate::Telemetry::start`].
pub async fn with_server_warnings<T>(future: impl Future<Output = T>) -> (T, bool) {
    HAS_WARNED
        .scope(Cell::new(false), async {
            let output = future.await;
            (output, HAS_WARNED.with(Cell::get))
        })
        .await
}

/// What a filter of log lines needs beside its own: these warnings are seen whatever else is logged. The driver's pool logs
/// each connection that we do not let in, many times a second; we say once why.
pub(crate) const FILTER: &str = "sqlx::postgres::notice=warn,sqlx_core::pool=off";

/// Takes note of warnings for [`with_server_warnings`] on their way to the log. Not a layer of its own: with a second
/// filter each event would be asked for by both, also where the answer is always the same.
pub(crate) struct Noticing<L>(pub L);

impl<S: Subscriber, L: Layer<S>> Layer<S> for Noticing<L> {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() == NOTICES && *event.metadata().level() <= Level::WARN {
            // Outside of the function above there is nothing to tell.
            let _ = HAS_WARNED.try_with(|has_warned| has_warned.set(true));
        }
        self.0.on_event(event, context);
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[tokio::test]
    async fn warnings_of_the_server_are_noticed() {
        let lines = Noticing(tracing_subscriber::layer::Identity::new());
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines));
        let warn = || tracing::warn!(target: "sqlx::postgres::notice", "canceling the wait");
        assert_eq!(with_server_warnings(async { warn() }).await, ((), true));
        assert_eq!(with_server_warnings(async { 1 }).await, (1, false));
        let other = async {
            tracing::info!(target: "sqlx::postgres::notice", "a mere notice");
            tracing::warn!("of this program");
        };
        assert_eq!(with_server_warnings(other).await, ((), false));
        warn();
    }
}
