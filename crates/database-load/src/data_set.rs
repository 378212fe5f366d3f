//! Which data there is to load.

use clap::ValueEnum;
use serde::Serialize;

/// One set of data, published as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DataSet {
    /// The menu, `products.csv`.
    Products,
    /// API clients and their keys, `users.csv`.
    Users,
    /// Promotions, `promotions.csv`.
    Promotions,
    /// Past orders, `orders.csv`.
    Orders,
    /// The codes of the coupon files, `coupons/*`.
    Coupons,
}

impl DataSet {
    /// All of them, each after those it refers to.
    pub const ALL: [Self; 5] = [Self::Products, Self::Users, Self::Promotions, Self::Orders, Self::Coupons];

    /// The name in `data_loads` and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Products => "products",
            Self::Users => "users",
            Self::Promotions => "promotions",
            Self::Orders => "orders",
            Self::Coupons => "coupons",
        }
    }

    /// The file, or for coupons the folder of files, that it is read from.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Products => "products.csv",
            Self::Users => "users.csv",
            Self::Promotions => "promotions.csv",
            Self::Orders => "orders.csv",
            Self::Coupons => "coupons",
        }
    }

    /// Whether the compiled-in copy is only for trying things out.
    pub const fn is_demo(self) -> bool {
        match self {
            Self::Users | Self::Orders => true,
            Self::Products | Self::Promotions | Self::Coupons => false,
        }
    }
}
