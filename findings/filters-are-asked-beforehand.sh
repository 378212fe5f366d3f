#!/usr/bin/env bash
# tracing 0.1.44, tracing-subscriber 0.3.23 (crates.io)
#
# `tracing::enabled!` asks the filters with metadata of a third kind, which is neither an event nor a span. So a filter
# that lets through what `is_event()` says is an event, and writes each such line, answers no to the question whether
# that same line would be written. Libraries that ask first are silent then: sqlx asks before it logs what a PostgreSQL
# server has sent beside an answer.
#
# Why it matters: the only sign that a commit is on no standby is such a notice. With a filter of events in front, it was
# lost, and orders were acknowledged that a failover would have lost. order-food lets through whatever is not a span, and
# tests that.
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
tracing = "=0.1.44"
tracing-subscriber = "=0.3.23"
TOML
cat >src/main.rs <<'RUST'
use tracing::{Level, subscriber::with_default};
use tracing_subscriber::{Layer, filter::filter_fn, fmt, layer::SubscriberExt, registry};

fn main() {
    let events = fmt::layer().with_filter(filter_fn(|metadata| metadata.is_event()));
    let asked = with_default(registry().with(events), || {
        tracing::warn!("this line is written");
        tracing::enabled!(Level::WARN)
    });
    let others = fmt::layer().with_filter(filter_fn(|metadata| !metadata.is_span()));
    let asked_others = with_default(registry().with(others), || tracing::enabled!(Level::WARN));
    println!("would it be written? filter of events: {asked}; filter of all but spans: {asked_others}");
    assert!(!asked && asked_others, "the answers have changed");
}
RUST
cargo run --quiet
