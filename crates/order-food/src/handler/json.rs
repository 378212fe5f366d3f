//! How the words of the business look in JSON.

use std::fmt::Display;
use std::io::Write;

use domain::{Money, Product, ProductId, ProductImage};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// An amount as a JSON number with exactly two decimals: `12.50`. Never passes through a float.
#[derive(Debug, Clone, Copy)]
pub struct Amount(pub Money);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const MOST_BYTES: usize = 24; // longer than any number of cents with a sign and a point
        let mut digits = [0; MOST_BYTES];
        let mut unused = &mut digits[..];
        write!(unused, "{}", self.0).map_err(serde::ser::Error::custom)?;
        let length = MOST_BYTES - unused.len();
        serde_json::from_slice::<&RawValue>(&digits[..length])
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

/// Writes a value as a JSON string.
pub fn as_text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// A product as clients see it.
#[derive(Debug, Serialize)]
pub struct ProductBody<'p> {
    #[serde(serialize_with = "as_text")]
    id: ProductId,
    name: &'p str,
    price: Amount,
    category: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'p ProductImage>,
}

impl<'p> ProductBody<'p> {
    /// The parts of a product, from the menu or from an order.
    pub fn new(
        id: ProductId,
        name: &'p str,
        price: Money,
        category: &'p str,
        image: Option<&'p ProductImage>,
    ) -> Self {
        Self { id, name, price: Amount(price), category, image }
    }
}

/// A product of the menu as JSON.
pub fn product_json(product: &Product) -> Vec<u8> {
    let Product { id, name, price, category, image } = product;
    // Numbers, strings and a struct of them: there is nothing in it that JSON cannot say.
    serde_json::to_vec(&ProductBody::new(*id, name, *price, category, image.as_deref())).unwrap_or_default()
}
