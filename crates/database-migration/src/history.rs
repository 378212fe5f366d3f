//! What has been applied, and how that compares with what this program knows.

use std::fmt;

use database::{ConnectionRef, Engine, Statement, on_engine};
use refinery_core::Migration;
use serde::Serialize;

/// A migration this program carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KnownMigration {
    /// Its number.
    pub version: i32,
    /// Its name, `create_tables`.
    pub name: String,
    /// What its text hashes to.
    #[serde(skip)]
    pub checksum: u64,
}

impl From<&Migration> for KnownMigration {
    fn from(migration: &Migration) -> Self {
        let (version, name) = (migration.version(), migration.name().to_owned());
        Self { version, name, checksum: migration.checksum() }
    }
}

impl fmt::Display for KnownMigration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "V{}__{}", self.version, self.name)
    }
}

impl KnownMigration {
    /// The span of applying it, `migration.createTables` for `create_tables`.
    pub(crate) fn span(&self, engine: &'static str) -> tracing::Span {
        let words = self.name.split('_').enumerate();
        let name: String = words
            .map(|(at, word)| match word.get(..1) {
                Some(initial) if at > 0 => initial.to_uppercase() + &word[1..],
                _ => word.to_owned(),
            })
            .collect();
        telemetry::span!(
            "migration",
            otel.name = format!("migration.{name}"),
            otel.kind = "client",
            db.system.name = engine,
            migration.version = self.version,
        )
    }
}

/// A row of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct AppliedMigration {
    /// Its number.
    pub version: i32,
    /// Its name then.
    pub name: String,
    /// When it was applied, RFC 3339.
    pub applied_on: String,
    /// What its text hashed to, in decimal.
    #[serde(skip)]
    pub checksum: String,
}

impl fmt::Display for AppliedMigration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "V{}__{}", self.version, self.name)
    }
}

/// The history contradicts this program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Applied, not among ours, yet older than our newest.
    #[error("{0} was applied to this database, but this program does not know it")]
    Unknown(AppliedMigration),
    /// Applied in another wording than ours.
    #[error("{0} was applied to this database as {1} with another text or name (checksum {found}, here {checksum})", found = .1.checksum, checksum = .0.checksum)]
    Changed(KnownMigration, AppliedMigration),
    /// A newer one was applied without it.
    #[error("{0} was never applied to this database, but a newer migration was")]
    Skipped(KnownMigration),
}

/// The schema as this program sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaState {
    /// Applied and known, in order.
    pub applied: Vec<AppliedMigration>,
    /// Known and not applied yet, in order.
    pub pending: Vec<KnownMigration>,
    /// Applied by a newer release than this one: fine, a release only adds to what the one before needs.
    pub newer: Vec<AppliedMigration>,
    /// What does not fit.
    pub conflicts: Vec<Conflict>,
}

impl SchemaState {
    /// Compares `known` with the database's history.
    pub(crate) async fn read(
        mut connection: ConnectionRef<'_>,
        known: &[KnownMigration],
    ) -> Result<Self, sqlx::Error> {
        let history = read_history(&mut connection).await?;
        Ok(Self::compare(known, history))
    }

    fn compare(known: &[KnownMigration], history: Vec<AppliedMigration>) -> Self {
        let newest_known = known.iter().map(|migration| migration.version).max().unwrap_or_default();
        let newest_applied = history.iter().map(|migration| migration.version).max().unwrap_or_default();
        let is_applied = |version| history.iter().any(|row| row.version == version);
        let (mut pending, mut conflicts) = (Vec::new(), Vec::new());
        for migration in known.iter().filter(|migration| !is_applied(migration.version)) {
            if migration.version < newest_applied {
                conflicts.push(Conflict::Skipped(migration.clone()));
            } else {
                pending.push(migration.clone());
            }
        }
        let (mut applied, mut newer) = (Vec::new(), Vec::new());
        for row in history {
            match known.iter().find(|migration| migration.version == row.version) {
                Some(ours) if ours.name == row.name && ours.checksum.to_string() == row.checksum => {
                    applied.push(row);
                }
                Some(ours) => conflicts.push(Conflict::Changed(ours.clone(), row)),
                None if row.version > newest_known => newer.push(row),
                None => conflicts.push(Conflict::Unknown(row)),
            }
        }
        Self { applied, pending, newer, conflicts }
    }
}

const HISTORY_EXISTS: Statement = Statement {
    postgres: "select to_regclass('refinery_schema_history') is not null",
    sqlite: "select count(*) > 0 from sqlite_master where type = 'table' and name = 'refinery_schema_history'",
};

async fn read_history(connection: &mut ConnectionRef<'_>) -> Result<Vec<AppliedMigration>, sqlx::Error> {
    let exists = HISTORY_EXISTS.on(connection);
    on_engine!(connection, connection => {
        if !sqlx::query_scalar::<_, bool>(exists).fetch_one(&mut **connection).await? {
            return Ok(Vec::new());
        }
        sqlx::query_as("select version, name, applied_on, checksum from refinery_schema_history order by version")
            .fetch_all(&mut **connection)
            .await
    })
}

/// The migrations of the engine that `of` is a value of.
pub(crate) fn migrations_of<P, S>(of: &Engine<P, S>) -> refinery_core::Runner {
    match of {
        Engine::Postgres(_) => crate::postgres::migrations::runner(),
        Engine::Sqlite(_) => crate::sqlite::migrations::runner(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(version: i32) -> KnownMigration {
        KnownMigration {
            version,
            name: format!("step_{version}"),
            checksum: u64::from(version.unsigned_abs()),
        }
    }

    fn applied(version: i32) -> AppliedMigration {
        let KnownMigration { version, name, checksum } = known(version);
        AppliedMigration { version, name, applied_on: String::new(), checksum: checksum.to_string() }
    }

    #[test]
    fn a_newer_release_is_no_conflict() {
        let state = SchemaState::compare(&[known(1), known(2)], vec![applied(1), applied(2), applied(3)]);
        assert_eq!((state.applied.len(), state.pending.len(), state.conflicts.len()), (2, 0, 0));
        assert_eq!(state.newer, [applied(3)]);
    }

    #[test]
    fn each_contradiction_is_named() {
        let changed = AppliedMigration { checksum: "99".into(), ..applied(1) };
        let state = SchemaState::compare(
            &[known(1), known(3), known(4)],
            vec![changed.clone(), applied(2), applied(4)],
        );
        assert_eq!(
            state.conflicts,
            [
                Conflict::Skipped(known(3)),
                Conflict::Changed(known(1), changed),
                Conflict::Unknown(applied(2))
            ]
        );
        assert!(
            state.conflicts[1]
                .to_string()
                .starts_with("V1__step_1 was applied to this database as V1__step_1 with another text")
        );
    }

    #[test]
    fn both_series_have_the_same_versions_and_names() {
        let series = |engine: Engine<(), ()>| -> Vec<_> {
            let mut names: Vec<_> = migrations_of(&engine)
                .get_migrations()
                .iter()
                .map(|m| (m.version(), m.name().to_owned()))
                .collect();
            names.sort();
            names
        };
        assert_eq!(series(Engine::Postgres(())), series(Engine::Sqlite(())));
    }
}
