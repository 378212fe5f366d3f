#!/usr/bin/env bash
# Tests the API as those who integrate with it see it: its document, its pages, its clients, HTTP.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/test-api-contract.sh [--long | PYTEST-ARGUMENT...]

Runs tests/api against servers on PostgreSQL and SQLite: requests generated from docs/openapi.yaml (schemathesis), the
Postman collection (newman), generated clients for TypeScript and Python, /docs in headless Chromium, HTTP by its
standards, the examples in docs/api.md, and what changed in the document since the last release.

  --long   only generated requests, at least 10,000 of them with a new seed; prints how many, and what was found

With other arguments, pytest gets them instead: scripts/test-api-contract.sh -k postman

Needs Python 3.11 or newer with venv, and Node.js 20 or newer with npm; installs exact versions of the rest by pip and
npm into ${XDG_CACHE_HOME:-~/.cache}/order-food, and Chromium from the system's packages. ORDER_FOOD_PROGRAMS names a
folder with programs that are built already.
TEXT
}

fail() { echo "test-api-contract.sh: $*" >&2; exit 1; }

case "${1:-}" in -h | --help) usage; exit 0 ;; esac
cd "$(dirname "$0")/.."
python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || fail "Python 3.11 or newer with venv is missing (Debian: apt-get install python3-venv)"
# shellcheck source=scripts/node/authorities.sh
. scripts/node/authorities.sh
command -v npm >/dev/null || fail "npm is missing: install Node.js 20 or newer with npm"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || fail "Node.js $(node --version) is too old: install 20 or newer"
command -v flock >/dev/null || fail "flock is missing (Debian: apt-get install util-linux)"

start=$SECONDS
missing=()
command -v curl >/dev/null || missing+=(curl)
command -v git >/dev/null || missing+=(git)
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
[ -n "$chromium" ] || [ "${1:-}" = --long ] || missing+=(chromium)
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || fail "missing, and no apt-get to install it: ${missing[*]}"
  sudo=()
  [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null || fail "missing: ${missing[*]}: run as root once, or install it"; sudo=(sudo); }
  echo "test-api-contract.sh: installing ${missing[*]}" >&2
  { "${sudo[@]}" apt-get update -q && DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -yq --no-install-recommends "${missing[@]}"; } >&2
  chromium=$(command -v chromium || true)
fi

# One folder for each set of versions; the last file to be made says that all are there.
folder=tests/api
versions=$( (cat $folder/requirements.txt $folder/package-lock.json; python3 --version; node --version) | sha256sum | cut -c 1-16)
tools=${XDG_CACHE_HOME:-$HOME/.cache}/order-food/api-$versions
mkdir -p "${tools%/*}"
exec 9>"${tools%/*}/api.lock"
flock 9
if [ ! -e "$tools/complete" ]; then
  rm -rf "$tools"
  mkdir -p "$tools"
  cp $folder/package.json $folder/package-lock.json $folder/.npmrc "$tools"
  (cd "$tools" && npm ci --silent) &
  npm=$!
  python3 -m venv "$tools/venv"
  "$tools/venv/bin/pip" install --quiet --disable-pip-version-check --requirement $folder/requirements.txt || fail "pip could not install $folder/requirements.txt"
  wait "$npm" || fail "npm could not install what $folder/package.json lists"
  touch "$tools/complete"
fi
exec 9>&-
echo "==> API contract, tools: $((SECONDS - start)) s"

ORDER_FOOD_PROGRAMS=$(realpath "${ORDER_FOOD_PROGRAMS:-$(scripts/build-programs.sh)}")
export ORDER_FOOD_PROGRAMS ORDER_FOOD_API_TOOLS=$tools ORDER_FOOD_CHROMIUM=$chromium PYTHONDONTWRITEBYTECODE=1
limit=300
if [ "${1:-}" = --long ]; then
  limit=1800
  set -- test_schemathesis.py -s --long
fi
start=$SECONDS
status=0
# A test that hangs is a failure, not a wait.
scripts/with-postgres.sh --no-fsync env --chdir=$folder timeout "$limit" "$tools/venv/bin/python" -m pytest --durations 10 "$@" || status=$?
echo "==> API contract, tests: $((SECONDS - start)) s"
exit $status
