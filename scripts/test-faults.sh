#!/usr/bin/env bash
# Breaks a running shop in all ways that its documents promise to survive, and checks that nothing is lost.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/test-faults.sh [--long] [--only ROWS] [--seed NUMBER] [--json FILE] [--keep]

Starts the programs that scripts/build-programs.sh builds, and in row 19 those of the release before
(scripts/previous-release.sh), on a PostgreSQL of its own and on SQLite. Runs clients that record every response, breaks
things, and compares the records with the database. Prints a table and writes it as JSON to target/faults.json.
docs/reliability.md tells what each row must hold.

  --long             the full number of rounds, and the soak of 30 minutes; without it, about five minutes
  --only ROWS        these rows of the table, e.g. 2,3,17
  --seed NUMBER      repeats what is random
  --json FILE        writes the results there
  --keep             keeps logs and records, also where all went well

Works as root, or with sudo, for small file systems that fill up; installs what is missing from the system's packages.
ORDER_FOOD_PROGRAMS names a folder with programs that are built already.
TEXT
}

fail() { echo "test-faults.sh: $*" >&2; exit 1; }

for argument; do case "$argument" in -h | --help) usage; exit 0 ;; esac done
cd "$(dirname "$0")/.."
[ "$(uname -s)" = Linux ] || fail "needs Linux: it freezes processes, and fills file systems"
sudo=()
[ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null || fail "needs root, for small file systems"; sudo=(sudo -E env "PATH=$PATH"); }

missing=()
for need in wrk python3 /usr/sbin/nginx:nginx-light /usr/sbin/haproxy:haproxy /usr/sbin/pgbouncer:pgbouncer setpriv:util-linux; do
  command -v "${need%%:*}" >/dev/null || missing+=("${need##*:}")
done
ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 || missing+=(libfaketime)
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || missing+=(postgresql)
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || fail "missing, and no apt-get to install it: ${missing[*]}"
  echo "test-faults.sh: installing ${missing[*]}" >&2
  { "${sudo[@]}" apt-get update -q && DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -yq "${missing[@]}"; } >&2
fi
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "needs Python 3.11 or newer"

programs=$(realpath "${ORDER_FOOD_PROGRAMS:-$(scripts/build-programs.sh)}")
previous=$(scripts/previous-release.sh)
# The clock of a program can be moved where it loads libraries, as in the build that ./scripts/test.sh has made already.
cargo build --quiet --workspace --all-targets --locked >&2
# They are started in folders of their own.
dynamic=$(realpath "${CARGO_TARGET_DIR:-target}/debug")
# Thousands of connections at once, on both sides.
ulimit -n "$(ulimit -Hn)"
export PYTHONDONTWRITEBYTECODE=1
exec "${sudo[@]}" python3 tests/faults/faults.py --programs "$programs" --dynamic-programs "$dynamic" --previous "$previous" --json target/faults.json "$@"
