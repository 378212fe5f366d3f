//! The content of a file in which no fault was found.

use coupon_corpus::Corpus;
use domain::{Product, Promotion};

use crate::orders::PastOrder;
use crate::users::User;

/// The rows of a data set.
pub(crate) enum Parsed {
    Products(Vec<Product>),
    Users(Vec<User>),
    Promotions(Vec<Promotion>),
    Orders(Vec<PastOrder>),
    Coupons(Box<Corpus>),
}

impl Parsed {
    /// The number of rows, or of valid codes.
    pub fn rows(&self) -> u64 {
        let rows = match self {
            Self::Products(products) => products.len(),
            Self::Users(users) => users.len(),
            Self::Promotions(promotions) => promotions.len(),
            Self::Orders(orders) => orders.len(),
            Self::Coupons(corpus) => return corpus.codes.found(),
        };
        rows as u64
    }
}
