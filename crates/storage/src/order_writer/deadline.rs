//! Deadlines of the writer's statements.

use std::time::Duration;

use tokio::time::timeout;

/// What the future returns, or [`sqlx::Error::PoolTimedOut`] after the deadline.
pub(super) async fn within<T>(
    deadline: Duration,
    future: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(deadline, future).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
