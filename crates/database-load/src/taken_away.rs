//! Checks the rows that a load takes away. A data set replaces everything that was loaded of it before.

use database::{Connection, ConnectionRef};

use crate::candidate::Candidate;
use crate::parsed::Parsed;
use crate::{BadData, Counts, DataSet, Fault, LoadError, coupons};

const ALLOW: &str = "or allow it with --allow-empty (ALLOW_EMPTY=true)";

/// Refuses empty data sets where something is live now. All data sets are checked before anything is written.
pub(crate) async fn check<'c>(
    connection: &mut Connection,
    data_sets: impl Iterator<Item = (&'c Candidate, &'c Parsed)>,
    min_files: u32,
) -> Result<(), LoadError> {
    let mut faults = Vec::new();
    let mut no_codes = None;
    for (candidate, _) in data_sets.filter(|(_, parsed)| parsed.rows() == 0) {
        let live = live(connection.as_mut(), candidate.data_set).await?;
        if live == 0 {
            continue;
        }
        let what = match candidate.data_set {
            DataSet::Products => "products",
            DataSet::Users => "API keys",
            DataSet::Promotions => "promotions",
            DataSet::Coupons => {
                no_codes = Some(LoadError::NoValidCodes { min_files, published: live });
                continue;
            }
            DataSet::Orders => continue,
        };
        faults.push(Fault {
            file: candidate.data_set.file_name().to_owned(),
            line: 1,
            column: None,
            message: format!(
                "no row follows the header, which would retire everything that is live ({what}: {live}); add the rows, {ALLOW}"
            ),
        });
    }
    if !faults.is_empty() {
        return Err(BadData(faults).into());
    }
    no_codes.map_or(Ok(()), Err)
}

/// The number of rows that loads have made and that are in use.
async fn live(connection: ConnectionRef<'_>, data_set: DataSet) -> Result<u64, sqlx::Error> {
    let sql = match data_set {
        DataSet::Products => "select count(*) from products where source = 'file' and retired_at is null",
        DataSet::Promotions => "select count(*) from promotions where source = 'file' and retired_at is null",
        DataSet::Users => {
            "select count(*) from api_keys where source = 'file' and retired_at is null and revoked_at is null"
        }
        DataSet::Coupons => return coupons::published(connection).await,
        // Orders are never taken away.
        DataSet::Orders => return Ok(0),
    };
    coupons::number(connection, sql, &[]).await
}

/// The least change that the codes read make to the published ones. Codes are not compared, so as many as possible
/// count as unchanged.
pub(crate) async fn least_of_codes(connection: ConnectionRef<'_>, read: u64) -> Result<Counts, sqlx::Error> {
    let published = coupons::published(connection).await?;
    let retired = published.saturating_sub(read);
    Ok(Counts { read, retired, unchanged: published - retired, ..Counts::default() })
}

/// Warns if more than half of the live rows are retired.
pub(crate) fn warn(data_set: DataSet, counts: &Counts) {
    /// Everyday work retires up to this many rows.
    const FEW: u64 = 10;
    let live_before = counts.retired + counts.changed + counts.unchanged;
    if counts.retired > FEW && counts.retired > live_before / 2 {
        tracing::warn!(
            data_set = data_set.name(),
            retired = counts.retired,
            live_before,
            read = counts.read,
            added = counts.added,
            "more than half of what was loaded before is retired: is the file complete?"
        );
    }
}
