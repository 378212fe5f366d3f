//! The menu.

use std::collections::{HashMap, HashSet};

use database::{ConnectionRef, on_engine};
use domain::{Money, Product, ProductId, ProductImage, Timestamp};

use crate::header::{optional, required};
use crate::row::Row;
use crate::table::{File, read};
use crate::{Counts, Fault, LoadError};

const IMAGES: [&str; 4] = ["image_thumbnail", "image_mobile", "image_tablet", "image_desktop"];

/// Reads `products.csv`.
pub(crate) fn parse(file: &File<'_>) -> Result<Vec<Product>, LoadError> {
    let [thumbnail, mobile, tablet, desktop] = IMAGES.map(optional);
    let columns = [
        required("id"),
        required("name"),
        required("price"),
        required("category"),
        thumbnail,
        mobile,
        tablet,
        desktop,
    ];
    let mut lines = HashMap::new();
    read(file, &columns, |row| {
        let product = product(row)?;
        match lines.insert(product.id, row.line) {
            None => Ok(product),
            Some(earlier) => Err(row.fault("id", format!("stands on line {earlier} already"))),
        }
    })
}

fn product(row: &Row<'_>) -> Result<Product, Fault> {
    let id = row.product_id("id")?;
    if id.get() < 1 {
        return Err(row.fault("id", "must be positive"));
    }
    let image = match IMAGES.map(|column| row.text(column)) {
        [None, None, None, None] => None,
        [Some(_), Some(_), Some(_), Some(_)] => {
            let address = |column| row.required_text(column, 2048).map(str::to_owned);
            let [thumbnail, mobile, tablet, desktop] = IMAGES;
            let image = ProductImage {
                thumbnail: address(thumbnail)?,
                mobile: address(mobile)?,
                tablet: address(tablet)?,
                desktop: address(desktop)?,
            };
            Some(image.into())
        }
        sizes => {
            let missing = IMAGES.into_iter().zip(sizes).find(|(_, address)| address.is_none());
            let column = missing.map_or(IMAGES[0], |(column, _)| column);
            return Err(row.fault(column, "is empty while another size is given; give all four or none"));
        }
    };
    Ok(Product {
        id,
        name: row.required_text("name", 200)?.into(),
        price: row.required_amount("price")?,
        category: row.required_text("category", 100)?.into(),
        image,
    })
}

#[derive(sqlx::FromRow)]
struct Stored {
    id: i64,
    name: String,
    category: String,
    price_cents: i64,
    image_thumbnail: Option<String>,
    image_mobile: Option<String>,
    image_tablet: Option<String>,
    image_desktop: Option<String>,
    is_ours: bool,
    is_retired: bool,
}

impl Stored {
    fn says_the_same(&self, product: &Product) -> bool {
        let image = [&self.image_thumbnail, &self.image_mobile, &self.image_tablet, &self.image_desktop];
        *self.name == *product.name
            && *self.category == *product.category
            && self.price_cents == product.price.cents()
            && image.map(Option::as_deref) == addresses(product)
    }
}

fn addresses(product: &Product) -> [Option<&str>; 4] {
    match &product.image {
        None => [None; 4],
        Some(image) => {
            [&image.thumbnail, &image.mobile, &image.tablet, &image.desktop].map(|a| Some(a.as_str()))
        }
    }
}

const STORED: &str = "select id, name, category, price_cents, image_thumbnail, image_mobile, image_tablet, image_desktop, \
                      source = 'file' as is_ours, retired_at is not null as is_retired from products";
const STORE: &str = "insert into products (id, name, category, price_cents, image_thumbnail, image_mobile, image_tablet, \
                     image_desktop, source, retired_at, created_at, updated_at) \
                     values ($1, $2, $3, $4, $5, $6, $7, $8, 'file', null, $9, $9) \
                     on conflict (id) do update set name = excluded.name, category = excluded.category, \
                     price_cents = excluded.price_cents, image_thumbnail = excluded.image_thumbnail, \
                     image_mobile = excluded.image_mobile, image_tablet = excluded.image_tablet, \
                     image_desktop = excluded.image_desktop, retired_at = null, updated_at = excluded.updated_at \
                     where products.source = 'file'";
const RETIRE: &str = "update products set retired_at = $2, updated_at = $2 where id = $1 and source = 'file'";

/// Makes the loader's rows say what the file says.
pub(crate) async fn apply(
    mut connection: ConnectionRef<'_>,
    products: &[Product],
    now: Timestamp,
) -> Result<Counts, sqlx::Error> {
    let stored: Vec<Stored> =
        on_engine!(&mut connection, connection => sqlx::query_as(STORED).fetch_all(&mut **connection).await?);
    let stored: HashMap<i64, Stored> = stored.into_iter().map(|row| (row.id, row)).collect();
    let mut counts = Counts { read: products.len() as u64, ..Counts::default() };
    for product in products {
        match stored.get(&product.id.get()) {
            Some(row) if !row.is_ours => {
                tracing::warn!(product = %product.id, "left alone: not made by a load");
                counts.not_owned += 1;
                continue;
            }
            Some(row) if !row.is_retired && row.says_the_same(product) => {
                counts.unchanged += 1;
                continue;
            }
            Some(row) if !row.is_retired => counts.changed += 1,
            _ => counts.added += 1,
        }
        let [thumbnail, mobile, tablet, desktop] = addresses(product);
        on_engine!(&mut connection, connection => {
            sqlx::query(STORE)
                .bind(product.id.get())
                .bind(&product.name)
                .bind(&product.category)
                .bind(product.price.cents())
                .bind(thumbnail)
                .bind(mobile)
                .bind(tablet)
                .bind(desktop)
                .bind(now.micros())
                .execute(&mut **connection)
                .await?;
        });
    }
    let listed: HashSet<i64> = products.iter().map(|product| product.id.get()).collect();
    for row in stored.values().filter(|row| row.is_ours && !row.is_retired && !listed.contains(&row.id)) {
        on_engine!(&mut connection, connection => {
            sqlx::query(RETIRE).bind(row.id).bind(now.micros()).execute(&mut **connection).await?;
        });
        counts.retired += 1;
    }
    Ok(counts)
}

/// Every product there is or ever was, for orders that name them.
pub(crate) async fn all(connection: ConnectionRef<'_>) -> Result<Vec<Product>, sqlx::Error> {
    let stored: Vec<Stored> =
        on_engine!(connection, connection => sqlx::query_as(STORED).fetch_all(connection).await?);
    let product = |row: Stored| Product {
        id: ProductId::new(row.id),
        name: row.name.into(),
        price: Money::from_cents(row.price_cents),
        category: row.category.into(),
        image: match (row.image_thumbnail, row.image_mobile, row.image_tablet, row.image_desktop) {
            (Some(thumbnail), Some(mobile), Some(tablet), Some(desktop)) => {
                Some(ProductImage { thumbnail, mobile, tablet, desktop }.into())
            }
            _ => None,
        },
    };
    Ok(stored.into_iter().map(product).collect())
}
