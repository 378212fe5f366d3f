//! Bytes as they go to clients.

use std::io::Write;

use bytes::Bytes;
use sha2::{Digest, Sha256};

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
    pub fn compressed(identity: Bytes) -> Self {
        let worth =
            |compressed: Vec<u8>| (compressed.len() < identity.len()).then(|| Bytes::from(compressed));
        let is_large = identity.len() >= Self::WORTH_COMPRESSING_BYTES;
        let (gzip, brotli) =
            if is_large { (worth(gzip(&identity)), worth(brotli(&identity))) } else { (None, None) };
        Self { gzip, brotli, ..Self::plain(identity) }
    }

    /// Of bytes that are sent as they are.
    pub fn plain(identity: Bytes) -> Self {
        Self { tag: Self::tag(&identity), identity, gzip: None, brotli: None }
    }

    /// What changes when the bytes do.
    pub fn tag(bytes: &[u8]) -> Bytes {
        let tag: String = Sha256::digest(bytes)[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        tag.into()
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
