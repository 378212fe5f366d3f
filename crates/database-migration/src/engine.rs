//! refinery's driver traits over sqlx, so that all programs reach the database the same way.

use database::{ConnectionRef, on_engine};
use refinery_core::Migration;
use refinery_core::traits::r#async::{AsyncMigrate, AsyncQuery, AsyncTransaction};
use sqlx::{AssertSqlSafe, Connection as _, Executor, raw_sql};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::history::AppliedMigration;

/// A connection that refinery can run migrations on. SQLite's is inside a transaction already (see
/// [`crate::Migrator::up`]), so what is a transaction for refinery is a savepoint there.
pub(crate) struct Runnable<'c>(pub ConnectionRef<'c>);

impl AsyncTransaction for Runnable<'_> {
    type Error = sqlx::Error;

    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(
        &'a mut self,
        queries: T,
    ) -> Result<usize, sqlx::Error> {
        let mut count = 0;
        on_engine!(&mut self.0, connection => {
            let mut transaction = connection.begin().await?;
            for query in queries {
                // The text is a migration compiled into this program, or refinery's own about its history.
                transaction.execute(raw_sql(AssertSqlSafe(query))).await?;
                count += 1;
            }
            transaction.commit().await?;
        });
        Ok(count)
    }
}

impl AsyncQuery<Vec<Migration>> for Runnable<'_> {
    async fn query<'a>(&'a mut self, query: &'a str) -> Result<Vec<Migration>, sqlx::Error> {
        let rows: Vec<AppliedMigration> = on_engine!(&mut self.0, connection => {
            sqlx::query_as(AssertSqlSafe(query)).fetch_all(&mut **connection).await?
        });
        rows.into_iter().map(migration).collect()
    }
}

impl AsyncMigrate for Runnable<'_> {}

fn migration(row: AppliedMigration) -> Result<Migration, sqlx::Error> {
    let unreadable = |what: &str| sqlx::Error::Protocol(format!("{row}: {what} in refinery_schema_history"));
    let applied_on = OffsetDateTime::parse(&row.applied_on, &Rfc3339).map_err(|_| unreadable("no time"))?;
    let checksum = row.checksum.parse().map_err(|_| unreadable("no checksum"))?;
    Ok(Migration::applied(row.version, row.name, applied_on, checksum))
}
