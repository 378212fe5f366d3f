#!/usr/bin/env bash
# tracing-opentelemetry 0.34.0 with opentelemetry_sdk 0.33.1 (crates.io)
#
# Fields of a span that are i64, f64, bool or text keep their type on the way to a collector. Unsigned numbers do not:
# there is no case for them, so u64, and with it u16, u32 and usize, is sent as the text that its Debug form has.
#
# Why it matters: the semantic conventions want integers for `http.response.status_code` and `server.port`. Searches such
# as "status >= 500" find nothing, and nothing says why. order-food casts to i64, and its tests compare types.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"
[dependencies]
opentelemetry = { version = "=0.33.1", features = ["trace"] }
opentelemetry_sdk = { version = "=0.33.1", features = ["testing", "trace"] }
tracing = "=0.1.44"
tracing-opentelemetry = { version = "=0.34.0", default-features = false }
tracing-subscriber = { version = "=0.3.23", default-features = false, features = ["registry"] }
TOML
cat >src/main.rs <<'RUST'
use opentelemetry::Value;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use tracing_subscriber::layer::SubscriberExt;

fn main() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("finding"));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        drop(tracing::info_span!("request", signed = 200_i64, unsigned = 200_u16));
    });
    let spans = exporter.get_finished_spans().unwrap();
    let value = |name: &str| spans[0].attributes.iter().find(|a| a.key.as_str() == name).map(|a| a.value.clone());
    println!("signed: {:?}, unsigned: {:?}", value("signed"), value("unsigned"));
    assert!(matches!(value("signed"), Some(Value::I64(200))));
    assert!(matches!(value("unsigned"), Some(Value::String(_))), "unsigned numbers are numbers now");
}
RUST
cargo run --quiet
