#!/usr/bin/env bash
# Feeds a fuzz target with mutated input until the time is up or something is found.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: ./scripts/fuzz.sh [TARGET [SECONDS]]

Builds fuzz/src/TARGET.rs (digest, the default, reads coupon files; order_request reads orders) with libFuzzer on the installed stable Rust, and
runs it for SECONDS (default: 600), one process a core. What covers something new is kept in fuzz/corpus/TARGET and
where the next run begins; input that fails goes to fuzz/artifacts/TARGET. Try one again with
  ./scripts/fuzz.sh TARGET 0 FILE

Needs Rust and a C++ compiler. Where ISA-L's header is installed (Debian: libisal-dev), that decoder is compared too.
CARGO_TARGET_DIR and FUZZ_JOBS (processes at a time) are honoured.
Exit codes: 0 nothing found; 1 something found, or not built; 2 wrong argument.
TEXT
}

fail() { echo "fuzz.sh: $*" >&2; exit "${code:-1}"; }

case ${1:-} in -h | --help) usage; exit 0 ;; esac
target=${1:-digest}
seconds=${2:-600}
cd "$(dirname "$0")/.."
[[ $target =~ ^[a-z_]+$ && -f fuzz/src/$target.rs ]] || code=2 fail "no target ${target}: there are digest and order_request"
[[ $seconds =~ ^[0-9]+$ ]] || code=2 fail "$seconds is not a number of seconds"
command -v cargo >/dev/null || fail "cargo is missing: install Rust from https://rustup.rs"
command -v c++ >/dev/null || fail "a C++ compiler is missing (Debian: apt-get install g++)"

host=$(rustc -vV | sed -n 's/^host: //p')
folder=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
features=()
[ "$target" != order_request ] || features=(--features api)
[ "$target" != digest ] || [ ! -e /usr/include/isa-l/igzip_lib.h ] || features=(--features isal)

# What cargo-fuzz passes, but for the sanitizers, which stable Rust does not have. With --target, build scripts and
# macros are built without.
flags=(
  -Cpasses=sancov-module
  -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares
  -Ccodegen-units=1
  --cfg fuzzing
)
RUSTFLAGS="${flags[*]}" CARGO_TARGET_DIR=$folder cargo build --release --locked --manifest-path fuzz/Cargo.toml \
  --target "$host" --bin "$target" "${features[@]}"
program=$folder/$host/release/$target

corpus=fuzz/corpus/$target
artifacts=fuzz/artifacts/$target
mkdir -p "$corpus" "$artifacts"
if [ $# -gt 2 ]; then
  exec "$program" "${@:3}"
fi

# Where to begin.
seed() { printf "$2" >"$corpus/seed-$1"; }
seed_digest() {
  # Eight bytes that choose rule, number of files and so on (fuzz/src/case.rs), and files that \xff ends.
  seed two-files '\0\1\0\1\0\0\0\0HAPPYHRS\nONLYHERE1\nFIFTYOFF10\n\xffHAPPYHRS\r\nFIFTYOFF10'
  seed gzip '\0\1\2\2\1\1\1\0HAPPYHRS\n\xffHAPPYHRS\nBIRTHDAY\n\xffBIRTHDAY\n'
  seed members '\0\1\1\1\2\2\0\200HAPPYHRS\nBIRTHDAY\nOVER9000\n\xffBIRTHDAY\nHAPPYHRS\n'
  seed damaged '\0\0\0\0\3\0\0\50HAPPYHRS\nBIRTHDAY\n'
  seed truncated '\0\0\0\0\4\0\0\100HAPPYHRS\nBIRTHDAY\n'
  seed followed '\0\0\0\0\5\0\0\1HAPPYHRS\nBIRTHDAY\n'
  seed stored '\0\0\0\0\6\0\0\0\1\011\0\366\377HAPPYHRS\n'
  seed mark '\4\0\1\3\0\0\0\0\xef\xbb\xbfA\nBC\n \tDEF \n\nabc\nABCDEFGHIJK\n'
  seed short-codes '\1\1\2\1\1\1\0\0A\nB\nAB\nABC\nABCD\n\xffB\nAB\nABC\n'
  seed one-code '\0\1\2\1\53\62\0\0HAPPYHRS\n\xffHAPPYHRS\n'
  seed long-line '\0\0\0\0\61\0\0\0XXXXXXXX'
}
seed_order_request() {
  seed order '{"items":[{"productId":"1","quantity":2},{"productId":"3","quantity":1}],"couponCode":"SAVE10"}'
  seed plain '{"items":[{"productId":"9223372036854775807","quantity":1000}]}'
  seed null '{"couponCode":null,"items":[{"quantity":2e0,"productId":"1","note":[{}]}]}'
  seed twice '{"items":[],"items":[{"productId":"1","productId":"2","quantity":1}],"couponCode":""}'
  seed types '{"items":[1,"a",null,{},[],{"productId":1,"quantity":"1"}],"couponCode":[]}'
  seed text '{"items":[{"product\\u0049d":"\\ud83c\\udf54","quantity":-0.5}],"couponCode":"\\u0000\xc3\xa4"}'
  seed edges '[{"items":99999999999999999999,"quantity":1e400}]'
}
"seed_$target"

if [ "$seconds" -eq 0 ]; then
  exit 0
fi
jobs=${FUZZ_JOBS:-$(nproc)}
# fork: each process has one case at a time; the first finding ends all.
"$program" "$corpus" -fork="$jobs" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=4096 \
  -artifact_prefix="$artifacts/" || fail "something was found: see $artifacts, and ./scripts/fuzz.sh $target 0 FILE"
echo "fuzz.sh: nothing found in $seconds s"
