#!/usr/bin/env bash
# Builds the programs of the release before this one, once, and prints the folder they are in.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/previous-release.sh

Builds order-food, database-migration and database-load as the last release had them, for tests of both releases on one
database, and prints the folder they are in: below ${XDG_CACHE_HOME:-~/.cache}/order-food. A second run finds them
there. With each release, the commit below moves on.

Needs Rust, a C compiler, and the history of the repository.
TEXT
}

fail() { echo "previous-release.sh: $*" >&2; exit 1; }

case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  '') ;;
  *) usage >&2; exit 2 ;;
esac

commit=df31628cdf949633a3564dc28711f0ddf73f2d22
programs=(order-food database-migration database-load)

cd "$(dirname "$0")/.."
folder=${XDG_CACHE_HOME:-$HOME/.cache}/order-food/previous/$commit
if [ ! -e "$folder/complete" ]; then
  git cat-file -e "$commit^{commit}" 2>/dev/null || fail "the commit $commit is missing: run git fetch --unshallow"
  source=$(mktemp -d "${TMPDIR:-/tmp}/order-food-previous.XXXXXX")
  trap 'rm -rf "$source"' EXIT
  git archive "$commit" | tar -x -C "$source"
  # Dependencies are shared with this release where they are the same.
  target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
  (cd "$source" && cargo build --quiet --locked --workspace --bins --target-dir "$target") >&2
  mkdir -p "$folder"
  for program in "${programs[@]}"; do cp "$target/debug/$program" "$folder"; done
  touch "$folder/complete"
fi
echo "$folder"
