//! How the words of the business look in JSON.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write;

use domain::{Money, Product, ProductId, ProductImage};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

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

impl PartialSchema for Amount {
    fn schema() -> RefOr<Schema> {
        // No `multipleOf: 0.01`: most validators divide floats, and refuse 0.07.
        let amount = ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0.0));
        amount.description(Some("Money, always with two decimals.")).examples([12.99]).into()
    }
}

impl ToSchema for Amount {
    fn name() -> Cow<'static, str> {
        "Amount".into()
    }
}

/// The numbers from 1 to 9223372036854775807, the greatest of 64 bits.
const PRODUCT_ID_PATTERN: &str = "^([1-9][0-9]{0,17}|[1-8][0-9]{18}|9[0-1][0-9]{17}|92[0-1][0-9]{16}|922[0-2][0-9]{15}|\
    9223[0-2][0-9]{14}|92233[0-6][0-9]{13}|922337[0-1][0-9]{12}|92233720[0-2][0-9]{10}|\
    922337203[0-5][0-9]{9}|9223372036[0-7][0-9]{8}|92233720368[0-4][0-9]{7}|\
    922337203685[0-3][0-9]{6}|9223372036854[0-6][0-9]{5}|92233720368547[0-6][0-9]{4}|\
    922337203685477[0-4][0-9]{3}|9223372036854775[0-7][0-9]{2}|922337203685477580[0-7])$";

/// A product's id as the description has it.
pub struct ProductIdText;

impl PartialSchema for ProductIdText {
    fn schema() -> RefOr<Schema> {
        let id = ObjectBuilder::new().schema_type(Type::String).pattern(Some(PRODUCT_ID_PATTERN));
        id.description(Some("A positive 64-bit integer in decimal, without leading zeros."))
            .examples(["1"])
            .into()
    }
}

impl ToSchema for ProductIdText {
    fn name() -> Cow<'static, str> {
        "ProductId".into()
    }
}

/// Addresses of a product's picture.
fn image_schema() -> Schema {
    let sizes = [
        ("thumbnail", "For lists."),
        ("mobile", "For telephones."),
        ("tablet", "For tablets."),
        ("desktop", "For large screens."),
    ];
    let address = |what| ObjectBuilder::new().schema_type(Type::String).description(Some(what));
    let image =
        ObjectBuilder::new().description(Some("Addresses of a picture, one for each size of screen."));
    let image = sizes
        .into_iter()
        .fold(image, |image, (size, what)| image.property(size, address(what)).required(size));
    image.into()
}

/// Writes a value as a JSON string.
pub fn as_text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// A product: as it is on the menu, or as it was when it was ordered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Product, examples(json!({"id": "1", "name": "Chicken Waffle", "price": 12.99, "category": "Waffle"})))]
pub struct ProductBody<'p> {
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = ProductIdText)]
    id: ProductId,
    /// What it is called.
    name: &'p str,
    /// What one of it costs.
    price: Amount,
    /// What kind of food it is.
    category: &'p str,
    /// Only where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = image_schema, required = false)]
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
