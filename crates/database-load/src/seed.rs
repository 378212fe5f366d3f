//! The first load of an embedded database.

use database::Connection;

use crate::ledger::{self, Seed};
use crate::{Load, LoadError, Summary};

/// Loads an embedded database when it starts, if nothing was ever loaded into it or made in it. Other databases are
/// left alone. A first load that was interrupted is completed. Returns `None` if there was nothing to do.
pub async fn seed_if_never_loaded(
    load: Load<'_>,
    connection: &mut Connection,
) -> Result<Option<Vec<Summary>>, LoadError> {
    let mut options = load.options.clone();
    match ledger::seed(connection.as_mut()).await? {
        Seed::Over => return Ok(None),
        Seed::NeverBegun => ledger::begin_seed(connection.as_mut(), load.clock.now()).await?,
        Seed::Unfinished => {
            let mut missing = Vec::new();
            for data_set in options.only {
                if ledger::published_hash(connection.as_mut(), data_set).await?.is_none() {
                    missing.push(data_set);
                }
            }
            options.only = missing;
        }
    }
    let is_resumed = options.only.len() < load.options.only.len();
    let summaries = match (Load { options: &options, ..load }).run(connection).await {
        // The source does not have the data sets that were left.
        Err(LoadError::NothingToLoad(..)) if is_resumed => Vec::new(),
        summaries => summaries?,
    };
    ledger::end_seed(connection.as_mut(), load.clock.now()).await?;
    Ok(Some(summaries))
}
