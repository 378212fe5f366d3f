//! Reads every changed file before anything is written.

use database::Connection;
use domain::Product;
use domain::text::normalized;

use crate::candidate::Candidate;
use crate::orders::{self, Known};
use crate::parsed::Parsed;
use crate::source::Content;
use crate::step::Step;
use crate::table::File;
use crate::users::{self, StoredClient};
use crate::{BadData, DataSet, Load, LoadError, coupon_digest, products, promotions};
use domain::{Named, Spellings};

/// The rows that were read of a data set, if it has to be loaded, and the step that loads it.
pub(crate) type Reading = (Option<Parsed>, Step);

impl Load<'_> {
    /// Reads every changed file. Orders come after products and users, because they may name new ones.
    pub(crate) async fn parse(
        self,
        connection: &mut Connection,
        candidates: &[Candidate],
    ) -> Result<Vec<Reading>, LoadError> {
        let stored_products = products::all(connection.as_mut()).await?;
        let stored_clients = users::clients(connection.as_mut()).await?;
        let mut faults = Vec::new();
        let mut parsed: Vec<Reading> = Vec::new();
        for candidate in candidates {
            let mut step = self.step(candidate);
            if candidate.is_published || candidate.is_missing() {
                parsed.push((None, step));
                continue;
            }
            // Faults of the files above would only look like unknown names here.
            if candidate.data_set == DataSet::Orders && !faults.is_empty() {
                continue;
            }
            let span = telemetry::span!(parent: step.span(), "dataload.parse");
            let mut parsing = Step::new(span, &self.options.interruption);
            let known = || Self::known(&stored_products, &stored_clients, &parsed);
            let outcome = parsing.span().in_scope(|| self.parse_one(candidate, known));
            match outcome {
                Ok(data) => {
                    parsing.end();
                    parsed.push((data, step));
                }
                Err(error) => {
                    for step in [&mut parsing, &mut step] {
                        step.fail("bad_data", "a file is wrong or does not fit");
                    }
                    match error {
                        LoadError::BadData(BadData(found)) => faults.extend(found),
                        error => return Err(error),
                    }
                }
            }
        }
        if faults.is_empty() { Ok(parsed) } else { Err(BadData(faults).into()) }
    }

    fn parse_one<'k>(
        self,
        candidate: &Candidate,
        known: impl FnOnce() -> Known<'k>,
    ) -> Result<Option<Parsed>, LoadError> {
        let Self { options, pepper, .. } = self;
        let (name, interruption) = (candidate.data_set.file_name(), &options.interruption);
        let file = match &candidate.content {
            Content::None => return Ok(None),
            Content::Coupons(files) => {
                let corpus = coupon_digest::read(files, &options.coupons, interruption)?;
                return Ok(Some(Parsed::Coupons(corpus.into())));
            }
            Content::File(bytes) => File { name, bytes, interruption },
        };
        Ok(match candidate.data_set {
            DataSet::Products => Some(Parsed::Products(products::parse(&file)?)),
            DataSet::Users => Some(Parsed::Users(users::parse(&file, pepper)?)),
            DataSet::Promotions => Some(Parsed::Promotions(promotions::parse(&file)?)),
            DataSet::Orders => Some(Parsed::Orders(orders::parse(&file, &known())?)),
            // Coupons are never a single file.
            DataSet::Coupons => None,
        })
    }

    fn known<'k>(
        stored_products: &'k [Product],
        stored_clients: &'k Spellings<StoredClient>,
        parsed: &'k [Reading],
    ) -> Known<'k> {
        let mut known = Known {
            products: stored_products.iter().map(|product| (product.id, product)).collect(),
            clients: stored_clients.iter().map(|client| normalized(client.name())).collect(),
        };
        for data in parsed.iter().filter_map(|(data, _)| data.as_ref()) {
            match data {
                Parsed::Products(products) => {
                    known.products.extend(products.iter().map(|product| (product.id, product)));
                }
                Parsed::Users(users) => {
                    known.clients.extend(users.iter().map(|user| normalized(&user.client)));
                }
                Parsed::Promotions(_) | Parsed::Orders(_) | Parsed::Coupons(_) => {}
            }
        }
        known
    }
}
