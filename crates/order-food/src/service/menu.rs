//! The menu, kept in memory whole.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use domain::{Product, ProductId};
use sha2::{Digest, Sha256};

use crate::repository::{MenuRepository, RepositoryError};

/// One state of the menu; every request works with exactly one.
#[derive(Debug)]
pub struct MenuSnapshot {
    entries: Vec<MenuEntry>,
    by_id: HashMap<ProductId, usize>,
    whole: Representation,
}

/// Bytes ready to be sent, with a tag that changes when they do.
#[derive(Debug)]
pub struct Representation {
    /// As they are.
    pub identity: Bytes,
    /// Compressed with gzip, where that makes them smaller.
    pub gzip: Option<Bytes>,
    /// Compressed with Brotli, where that makes them smaller.
    pub brotli: Option<Bytes>,
    /// 32 hexadecimal digits of a hash over them.
    pub tag: Bytes,
}

impl Representation {
    /// Smaller bodies fit into one packet as they are.
    const WORTH_COMPRESSING_BYTES: usize = 1024;

    /// Of bytes that are sent often enough to be compressed well.
    fn compressed(identity: Bytes) -> Self {
        let worth =
            |compressed: Vec<u8>| (compressed.len() < identity.len()).then(|| Bytes::from(compressed));
        let is_large = identity.len() >= Self::WORTH_COMPRESSING_BYTES;
        let (gzip, brotli) =
            if is_large { (worth(gzip(&identity)), worth(brotli(&identity))) } else { (None, None) };
        Self { gzip, brotli, ..Self::plain(identity) }
    }

    /// Of bytes that are sent as they are.
    fn plain(identity: Bytes) -> Self {
        let tag: String = Sha256::digest(&identity)[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { tag: tag.into(), identity, gzip: None, brotli: None }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    // Writing into memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

fn brotli(bytes: &[u8]) -> Vec<u8> {
    const BUFFER: usize = 4096;
    /// Of 11; the last steps cost seconds on a large menu and gain little.
    const QUALITY: u32 = 9;
    const WINDOW_BITS: u32 = 22;
    let mut compressed = Vec::new();
    let _ = brotli::CompressorWriter::new(&mut compressed, BUFFER, QUALITY, WINDOW_BITS).write_all(bytes);
    compressed
}

/// A product with what clients are sent of it.
#[derive(Debug)]
pub struct MenuEntry {
    /// The product.
    pub product: Product,
    /// The JSON of the product.
    pub json: Representation,
}

impl MenuSnapshot {
    /// A menu of these products; `to_json` writes one of them as clients see it.
    pub fn new(products: Vec<Product>, to_json: impl Fn(&Product) -> Vec<u8>) -> Self {
        let entries: Vec<_> = products
            .into_iter()
            .map(|product| MenuEntry { json: Representation::plain(to_json(&product).into()), product })
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

    /// The products of a category, with a text in their name, or both, as JSON. Case does not matter.
    pub fn filtered(&self, category: Option<&str>, text: Option<&str>) -> Representation {
        let category = category.map(str::to_lowercase);
        let text = text.map(str::to_lowercase);
        Representation::plain(json_array(self.entries.iter().filter(|MenuEntry { product, .. }| {
            category.as_ref().is_none_or(|category| product.category.to_lowercase() == *category)
                && text.as_ref().is_none_or(|text| product.name.to_lowercase().contains(text.as_str()))
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
    repository: Arc<dyn MenuRepository>,
    to_json: fn(&Product) -> Vec<u8>,
    current: ArcSwapOption<MenuSnapshot>,
}

impl Menu {
    /// A menu that has not been loaded yet.
    pub fn new(repository: Arc<dyn MenuRepository>, to_json: fn(&Product) -> Vec<u8>) -> Self {
        Self { repository, to_json, current: ArcSwapOption::empty() }
    }

    /// The menu now; `None` before it was first loaded.
    pub fn current(&self) -> Option<Arc<MenuSnapshot>> {
        self.current.load_full()
    }

    /// Reads the menu again and puts it in place at once.
    pub async fn reload(&self) -> Result<(), RepositoryError> {
        let products = self.repository.products().await?;
        tracing::info!(products = products.len(), "the menu was read");
        let to_json = self.to_json;
        // Compressing a large menu takes a while.
        let snapshot = tokio::task::spawn_blocking(move || MenuSnapshot::new(products, to_json)).await;
        let snapshot = snapshot.map_err(|_| RepositoryError::Unavailable(None))?;
        self.current.store(Some(Arc::new(snapshot)));
        Ok(())
    }
}
