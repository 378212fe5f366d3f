//! The digest against what a simple program finds, on files of every shape.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod likeness;
mod oracle;
mod refusals;

use std::io::{Cursor, Write};
use std::num::NonZeroUsize;

use coupon_corpus::{Corpus, CorpusError, CouponSource, Inflate, Progress, Settings, digest};
use flate2::Compression;
use flate2::write::GzEncoder;

fn source(name: &str, content: impl Into<Vec<u8>>) -> CouponSource {
    let content = content.into();
    CouponSource {
        name: name.to_owned(),
        size_bytes: content.len() as u64,
        content: Box::new(Cursor::new(content)),
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn settings(inflate: Inflate) -> Settings {
    Settings { inflate, threads: NonZeroUsize::new(2).unwrap(), ..Settings::default() }
}

fn run(sources: Vec<CouponSource>, settings: &Settings) -> Result<Corpus, CorpusError> {
    digest(sources, settings, &Progress::default())
}

fn found(corpus: Corpus) -> Vec<(String, u32)> {
    corpus.codes.map(|code| code.map(|(code, files)| (code.to_string(), files.into())).unwrap()).collect()
}
