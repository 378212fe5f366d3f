//! The ways in which the program can fail, and their exit codes.

use std::io;

use coupon_corpus::CorpusError;
use database::{ConnectError, LockError};
use database_load::LoadError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("the summary could not be written")]
    Output(#[from] io::Error),
    #[error("the program failed")]
    Panicked(#[source] tokio::task::JoinError),
}

impl Failure {
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Output(_)
            | Self::Panicked(_)
            | Self::Load(
                LoadError::Database(_)
                | LoadError::Lock(LockError::Database(_) | LockError::File(..))
                // Not seen outside: the program exits with the signal's code.
                | LoadError::Interrupted,
            ) => 1,
            Self::Load(LoadError::SpillLimit { .. } | LoadError::Coupons(CorpusError::Spill { .. })) => 7,
            Self::Connect(_) => 3,
            Self::Load(
                LoadError::BadData(_)
                | LoadError::Unreadable(..)
                | LoadError::Coupons(_)
                | LoadError::NoCodes(_)
                | LoadError::NoValidCodes { .. }
                | LoadError::SameFiles { .. }
                | LoadError::TooFewFiles { .. }
                | LoadError::NothingToLoad(..),
            ) => 4,
            Self::Load(LoadError::NotMigrated(_)) => 5,
            Self::Load(LoadError::Lock(LockError::TimedOut { .. })) => 6,
        }
    }
}
