#!/usr/bin/env bash
# Builds the three programs as the images ship them, static and with their list of dependencies inside.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/build-programs.sh [--profile PROFILE]

Builds order-food, database-migration and database-load without need of any shared library, for this machine's own
processor, and prints the folder they are in. Their dependencies, by version, are in a section of each program
(cargo-auditable), where scanners of images find them.

  --profile PROFILE   release (default, as the tests use it) or dist (smaller; takes longer)

Needs Rust and a C compiler with the static glibc (Debian: libc6-dev); cargo-auditable is installed where it is missing.
CARGO_TARGET_DIR is honoured.
TEXT
}

fail() { echo "build-programs.sh: $*" >&2; exit "${code:-1}"; }

profile=release
case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  --profile) profile=${2:-} ;;
  '') ;;
  *) usage >&2; exit 2 ;;
esac
case $profile in release | dist) ;; *) code=2 fail "the profile is release or dist, not \"$profile\"" ;; esac

cd "$(dirname "$0")/.."
command -v cargo >/dev/null || fail "cargo is missing: install Rust from https://rustup.rs"
command -v cc >/dev/null || fail "a C compiler is missing (Debian: apt-get install build-essential)"

# Installed programs are in a folder that need not be on the PATH.
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
auditable=0.7.7
cargo install --list | grep -qx "cargo-auditable v$auditable:" ||
  env -u CARGO_TARGET_DIR cargo install --quiet --locked --version "$auditable" cargo-auditable >&2

host=$(rustc -vV | sed -n 's/^host: //p')
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac

# Named as the target although it is the host, so that the flags do not reach macros, which are shared libraries.
# Relocations, which a static program applies to itself, take a twentieth of the space when packed.
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs" cargo auditable build --locked --target "$host" \
  --profile "$profile" --bins -p order-food -p database-migration -p database-load >&2
echo "$target/$host/$profile"
