#!/usr/bin/env bash
# Installs what the tests need, and runs all of them.
set -euo pipefail

if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
  cat <<'TEXT'
Usage: ./scripts/test.sh

Checks the licences of all dependencies (scripts/check-licences.sh), builds everything, starts a private PostgreSQL
(scripts/with-postgres.sh, which installs it from the system's packages where it is missing, as are nginx, curl,
Prometheus and ISA-L), runs every test on it and on SQLite, and stops it. Then tests the API from outside
(scripts/test-api-contract.sh), packs the programs into images and runs them as pods (scripts/test-containers.sh), breaks
a running shop (scripts/test-faults.sh), tests what watches it (scripts/test-monitoring.sh), what operators use
(scripts/test-operations.sh), and the chart (scripts/test-chart.sh). Prints the seconds that each phase took.

Needs Rust and a C compiler. CARGO_TARGET_DIR is honoured.
TEXT
  exit 0
fi

cd "$(dirname "$0")/.."
command -v cargo >/dev/null || { echo "test.sh: cargo is missing: install Rust from https://rustup.rs" >&2; exit 1; }
command -v cc >/dev/null || { echo "test.sh: a C compiler is missing (Debian: apt-get install build-essential)" >&2; exit 1; }

# What the tests start beside PostgreSQL: a proxy, and the client of the documentation's examples.
install() {
  command -v apt-get >/dev/null || { echo "test.sh: $* missing, and no apt-get to install it" >&2; exit 1; }
  local sudo=
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  $sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -yq "$@"
}
[ -x /usr/sbin/nginx ] || [ -x /usr/bin/nginx ] || [ -x /usr/local/sbin/nginx ] || install nginx-light
command -v curl >/dev/null || install curl
# The faster gzip decoder, which a feature links.
[ -e /usr/include/isa-l.h ] || install libisal-dev
# promtool, which checks what /metrics says.
command -v promtool >/dev/null || install prometheus

phase() {
  local name=$1 start=$SECONDS
  shift
  echo "==> $name"
  "$@"
  echo "==> $name: $((SECONDS - start)) s"
}

phase "licences" scripts/check-licences.sh
phase "build, dev" cargo build --workspace --all-targets --locked
phase "build, release" scripts/build-programs.sh
# What starts real processes starts those that users run, static as in the images.
ORDER_FOOD_PROGRAMS=$(scripts/build-programs.sh)
export ORDER_FOOD_PROGRAMS
# A test that hangs is a failure, not a wait.
phase "tests" scripts/with-postgres.sh --no-fsync timeout 1200 cargo test --workspace --locked
phase "tests, ISA-L" timeout 600 cargo test --package coupon-corpus --features isal --locked
phase "API contract" scripts/test-api-contract.sh
phase "images and pods" scripts/test-containers.sh
phase "faults" timeout 480 scripts/test-faults.sh
phase "monitoring" scripts/test-monitoring.sh
phase "operations" scripts/test-operations.sh
phase "chart" scripts/test-chart.sh
