//! Products.

use database::on_engine;
use domain::{Money, Product, ProductId, ProductImage};

use crate::database::Operation;
use crate::{Database, StorageError};

const PRODUCTS: Operation = Operation::same(
    "SELECT",
    "products",
    "select id, name, category, price_cents, image_thumbnail, image_mobile, image_tablet, image_desktop \
     from products where retired_at is null order by id",
);

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    name: String,
    category: String,
    price_cents: i64,
    image_thumbnail: Option<String>,
    image_mobile: Option<String>,
    image_tablet: Option<String>,
    image_desktop: Option<String>,
}

impl From<Row> for Product {
    fn from(row: Row) -> Self {
        let image = match (row.image_thumbnail, row.image_mobile, row.image_tablet, row.image_desktop) {
            (Some(thumbnail), Some(mobile), Some(tablet), Some(desktop)) => {
                Some(ProductImage { thumbnail, mobile, tablet, desktop }.into())
            }
            _ => None,
        };
        Self {
            id: ProductId::new(row.id),
            name: row.name.into(),
            price: Money::from_cents(row.price_cents),
            category: row.category.into(),
            image,
        }
    }
}

impl Database {
    /// Every product that is sold, by id.
    pub async fn products(&self) -> Result<Vec<Product>, StorageError> {
        self.load(&PRODUCTS, |mut connection, sql| async move {
            let rows: Vec<Row> = on_engine!(&mut connection, connection => {
                sqlx::query_as(sql).fetch_all(&mut **connection).await?
            });
            Ok(rows.into_iter().map(Product::from).collect())
        })
        .await
    }
}
