#!/usr/bin/env bash
# csv 1.4.0 (crates.io)
#
# The reader follows RFC 4180 for what is well-formed. What is not is never an error: text after a closing quote is added
# to the value, and a backslash before a quote is an ordinary character, so the quote ends the value. A missing closing
# quote makes one value of the rest of the file. There is a setting for backslashes, and none for refusing.
#
# Why it matters: a menu whose author meant `12" Sub` or `A"B` is loaded with other names, and one forgotten quote makes
# all products after it disappear, without a word. order-food checks quotes itself before it reads a file.
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
csv = "=1.4.0"
TOML
cat >src/main.rs <<'RUST'
fn main() {
    for text in ["id,name\n6,\"12\\\" Sub\"\n", "id,name\n7,\"A\"B\n", "id,name\n8,\"Salad\n9,Soup\n"] {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<_> = reader.records().collect();
        println!("{text:?} -> {rows:?}");
        assert!(rows.len() == 1 && rows[0].is_ok(), "it is refused now");
    }
}
RUST
cargo run --quiet
