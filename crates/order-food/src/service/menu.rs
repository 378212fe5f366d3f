//! The menu, kept in memory whole.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use domain::{Product, ProductId, text};

use storage::{Database, StorageError};

use super::representation::Representation;

/// One state of the menu; every request works with exactly one.
#[derive(Debug)]
pub struct MenuSnapshot {
    entries: Vec<MenuEntry>,
    by_id: HashMap<ProductId, usize>,
    whole: Representation,
}

/// A product with what clients are sent of it.
#[derive(Debug)]
pub struct MenuEntry {
    /// The product.
    pub product: Product,
    /// The JSON of the product.
    pub json: Representation,
    /// Its name and category as searches compare them.
    name: String,
    category: String,
}

impl MenuSnapshot {
    /// A menu of these products; `to_json` writes one of them as clients see it.
    pub fn new(products: Vec<Product>, to_json: impl Fn(&Product) -> Vec<u8>) -> Self {
        let entries: Vec<_> = products
            .into_iter()
            .map(|product| MenuEntry {
                json: Representation::plain(to_json(&product).into()),
                name: text::folded(&product.name),
                category: text::folded(&product.category),
                product,
            })
            .collect();
        let by_id = entries.iter().enumerate().map(|(at, entry)| (entry.product.id, at)).collect();
        let whole = Representation::compressed(json_array(entries.iter()));
        Self { entries, by_id, whole }
    }

    /// The product with that id.
    pub fn find(&self, id: ProductId) -> Option<&MenuEntry> {
        self.by_id.get(&id).and_then(|at| self.entries.get(*at))
    }

    /// The whole menu as JSON.
    pub const fn whole(&self) -> &Representation {
        &self.whole
    }

    /// How many products it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The products of a category, with a text in their name, or both, as JSON. Case does not matter, nor how accents
    /// are written.
    pub fn filtered(&self, category: Option<&str>, part: Option<&str>) -> Representation {
        let (category, part) = (category.map(text::folded), part.map(text::folded));
        Representation::plain(json_array(self.entries.iter().filter(|entry| {
            category.as_ref().is_none_or(|category| entry.category == *category)
                && part.as_ref().is_none_or(|part| entry.name.contains(part.as_str()))
        })))
    }
}

fn json_array<'e>(entries: impl Iterator<Item = &'e MenuEntry>) -> Bytes {
    let mut body = vec![b'['];
    for entry in entries {
        if body.len() > 1 {
            body.push(b',');
        }
        body.extend_from_slice(&entry.json.identity);
    }
    body.push(b']');
    body.into()
}

/// Serves the present menu and replaces it.
pub struct Menu {
    database: Database,
    to_json: fn(&Product) -> Vec<u8>,
    current: ArcSwapOption<MenuSnapshot>,
}

impl Menu {
    /// A menu that has not been loaded yet.
    pub fn new(database: Database, to_json: fn(&Product) -> Vec<u8>) -> Self {
        Self { database, to_json, current: ArcSwapOption::empty() }
    }

    /// The menu now; `None` before it was first loaded.
    pub fn current(&self) -> Option<Arc<MenuSnapshot>> {
        self.current.load_full()
    }

    /// Reads the menu again and puts it in place at once.
    pub async fn reload(&self) -> Result<(), StorageError> {
        let products = self.database.products().await?;
        tracing::info!(products = products.len(), "the menu was read");
        let to_json = self.to_json;
        // Compressing a large menu takes a while.
        let snapshot = tokio::task::spawn_blocking(move || MenuSnapshot::new(products, to_json)).await;
        let snapshot = snapshot.map_err(|_| StorageError::Unavailable(None))?;
        self.current.store(Some(Arc::new(snapshot)));
        Ok(())
    }
}
