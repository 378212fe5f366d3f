//! What a file says, found right.

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
