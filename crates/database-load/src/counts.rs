//! What a load did.

use serde::Serialize;

use crate::DataSet;

/// What became of a data set's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Rows in the file.
    pub read: u64,
    /// Rows that are new, or back after they had been retired.
    pub added: u64,
    /// Rows that say something else than before.
    pub changed: u64,
    /// Rows that are no longer in the file.
    pub retired: u64,
    /// Rows that were there already.
    pub unchanged: u64,
    /// Rows of the file left out because the API or the command line made the row of that name.
    pub not_owned: u64,
}

/// What became of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Published as a new generation.
    Published,
    /// Equal to what is published now; nothing was read further.
    Unchanged,
    /// The source has no such file.
    NoFile,
    /// Would have been published.
    DryRun,
}

impl Outcome {
    /// As it is written in summaries and traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Unchanged => "unchanged",
            Self::NoFile => "no_file",
            Self::DryRun => "dry_run",
        }
    }
}

/// The summary of one data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Which one.
    pub data_set: DataSet,
    /// What became of it.
    pub outcome: Outcome,
    /// What became of its rows.
    #[serde(flatten)]
    pub counts: Counts,
    /// How long it took.
    pub duration_ms: u64,
}
