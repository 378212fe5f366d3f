//! Brings the schema up to date, however many processes try at once.
//!
//! The SQL stands in `migrations/postgres` and `migrations/sqlite`, same versions and names in both. refinery keeps the
//! history but takes no lock of its own, so a run holds one (see [`Migrator::up`]).

mod engine;
mod history;
mod migrator;

pub use history::{AppliedMigration, Conflict, KnownMigration, SchemaState};
pub use migrator::{MigrationError, Migrator};

mod postgres {
    #![allow(clippy::expect_used, reason = "written by refinery's macro")]
    refinery::embed_migrations!("../../migrations/postgres");
}

mod sqlite {
    #![allow(clippy::expect_used, reason = "written by refinery's macro")]
    refinery::embed_migrations!("../../migrations/sqlite");
}
