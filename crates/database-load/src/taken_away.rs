//! What a load takes away: a data set replaces all that was loaded of it before.

use database::{Connection, ConnectionRef, on_engine};

use crate::candidate::Candidate;
use crate::parsed::Parsed;
use crate::{BadData, Counts, DataSet, Fault, LoadError};

const ALLOW: &str = "or allow it with --allow-empty (ALLOW_EMPTY=true)";

/// Refuses data sets without anything in them where something is live now. Looks at all of them, before anything is
/// written.
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

/// How many rows that a load has made are in use.
async fn live(connection: ConnectionRef<'_>, data_set: DataSet) -> Result<u64, sqlx::Error> {
    let sql = match data_set {
        DataSet::Products => "select count(*) from products where source = 'file' and retired_at is null",
        DataSet::Promotions => "select count(*) from promotions where source = 'file' and retired_at is null",
        DataSet::Users => {
            "select count(*) from api_keys where source = 'file' and retired_at is null and revoked_at is null"
        }
        DataSet::Coupons => {
            "select count(*) from coupon_codes where generation = (select max(generation) from data_loads \
             where data_set = 'coupons' and published_at is not null)"
        }
        // They are never taken away.
        DataSet::Orders => return Ok(0),
    };
    let rows: i64 =
        on_engine!(connection, connection => sqlx::query_scalar(sql).fetch_one(connection).await?);
    Ok(u64::try_from(rows).unwrap_or_default())
}

/// What the codes that were read do to those that are published, at least: which ones are the same is not looked at.
pub(crate) async fn least_of_codes(connection: ConnectionRef<'_>, read: u64) -> Result<Counts, sqlx::Error> {
    let published = live(connection, DataSet::Coupons).await?;
    let retired = published.saturating_sub(read);
    Ok(Counts { read, retired, unchanged: published - retired, ..Counts::default() })
}

/// Warns if most of what was live is no more.
pub(crate) fn warn(data_set: DataSet, counts: &Counts) {
    /// So many are taken away in everyday work.
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
