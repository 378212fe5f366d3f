#!/usr/bin/env bash
# Benchmarks against what the same machine does otherwise; each rewrites its own section of docs/benchmarks.md.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/bench.sh orders|menu|latency|telemetry|growth|start|micro|coupons

  orders   durable orders on PostgreSQL and SQLite, against pgbench and against one transaction per order
  menu     the menu, against a bare actix-web handler with the same bytes
  latency  orders at 10, 50 and 90 % of capacity, sent when due (open loop); a lone order, against a lone pgbench
  telemetry  the menu and orders with metrics, and with none, 1 % and all of their traces kept
  growth   orders, and pages of them, with 0, 1 M and 10 M orders stored
  start    start to ready, idle memory, a migration with nothing to do
  micro    pricing, key check, coupon lookup, in memory (criterion)
  coupons  three coupon files of 313 million lines, against decompressing them with igzip

Starts its own PostgreSQL (durable) and servers, all on this machine. BENCH_ROUNDS (5) and BENCH_SECONDS (8) make it
longer or shorter; BENCH_GROWTH_ROWS ("0 1000000 10000000") says how many orders growth stores before; as it is that needs 22 GB
in TMPDIR and a quarter of an hour. BENCH_COUPON_SCALE (1) makes the coupon files smaller; as they are they need 5 GB in TMPDIR.
Needs wrk, and for coupons igzip and ISA-L (installed from the system's packages where they are missing).
TEXT
}

case "${1:-}" in
  orders | menu | latency | telemetry | growth | start | micro | coupons) what=$1 ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

cd "$(dirname "$0")/.."
install() {
  command -v apt-get >/dev/null || { echo "bench.sh: missing, and no apt-get to install it: $*" >&2; exit 1; }
  local sudo=
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  { $sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -yq "$@"; } >&2
}
case $what in
  micro | start) ;;
  coupons) { command -v igzip && [ -e /usr/include/isa-l.h ]; } >/dev/null || install isal libisal-dev ;;
  *) command -v wrk >/dev/null || install wrk ;;
esac

target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
if [ "$what" = micro ]; then
  measured=$(CRITERION_HOME=$target/criterion cargo bench --locked -p order-food --bench micro)
  result=$(python3 scripts/bench/micro.py "$target/criterion" <<<"$measured")
elif [ "$what" = coupons ]; then
  cargo build --release --locked -p database-load --features isal >&2
  cp "$target/release/database-load" "$target/release/database-load-isal"
  cargo build --release --locked -p database-load -p database-migration >&2
  cargo build --release --locked -p coupon-corpus --example generate >&2
  result=$(python3 scripts/bench/coupons.py "$target/release/database-load-isal" "$target/release/database-load" \
    "$target/release/examples/generate")
else
  cargo build --release --locked --workspace --bins --examples >&2
  export ORDER_FOOD_PROGRAMS=$target/release PYTHONDONTWRITEBYTECODE=1
  case $what in
    start) result=$(scripts/with-postgres.sh scripts/bench-start.py "$ORDER_FOOD_PROGRAMS") ;;
    *) result=$(scripts/with-postgres.sh python3 scripts/bench/bench.py "$what") ;;
  esac
fi
printf '%s\n' "$result"

python3 - "$what" "$result" <<'PYTHON'
import re, sys
what, result = sys.argv[1:]
path = "docs/benchmarks.md"
text = open(path).read()
begin, end = f"<!-- begin {what} -->\n", f"<!-- end {what} -->"
pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.S)
if not pattern.search(text):
    raise SystemExit(f"{path} has no section for {what}")
open(path, "w").write(pattern.sub(lambda _: begin + result.strip() + "\n" + end, text))
PYTHON
