//! How the words of the business look in JSON.

use domain::{Money, Product, ProductImage};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// An amount as a JSON number with exactly two decimals: `12.50`. Never passes through a float.
#[derive(Debug, Clone, Copy)]
pub struct Amount(pub Money);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.to_string()).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// A product as clients see it.
#[derive(Debug, Serialize)]
pub struct ProductBody<'p> {
    id: String,
    name: &'p str,
    price: Amount,
    category: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'p ProductImage>,
}

impl<'p> ProductBody<'p> {
    /// The parts of a product, from the menu or from an order.
    pub fn new(
        id: domain::ProductId,
        name: &'p str,
        price: Money,
        category: &'p str,
        image: Option<&'p ProductImage>,
    ) -> Self {
        Self { id: id.to_string(), name, price: Amount(price), category, image }
    }
}

/// A product of the menu as JSON.
pub fn product_json(product: &Product) -> Vec<u8> {
    let Product { id, name, price, category, image } = product;
    // Numbers, strings and a struct of them: there is nothing in it that JSON cannot say.
    serde_json::to_vec(&ProductBody::new(*id, name, *price, category, image.as_ref())).unwrap_or_default()
}
