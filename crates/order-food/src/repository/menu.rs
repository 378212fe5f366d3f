//! Products.

use async_trait::async_trait;
use database::on_engine;
use domain::{Money, Product, ProductId, ProductImage};

use super::client::{Client, Operation};
use super::{MenuRepository, RepositoryError};

/// The menu in SQL.
#[derive(Clone)]
pub struct SqlMenu(pub Client);

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

#[async_trait]
impl MenuRepository for SqlMenu {
    async fn products(&self) -> Result<Vec<Product>, RepositoryError> {
        self.0
            .load(&PRODUCTS, async {
                let mut connection = self.0.reader().await?;
                let sql = PRODUCTS.sql.on(&connection);
                let rows: Vec<Row> = on_engine!(&mut connection, connection => {
                    sqlx::query_as(sql).fetch_all(&mut **connection).await?
                });
                Ok(rows.into_iter().map(Product::from).collect())
            })
            .await
    }
}
