#!/usr/bin/env bash
# Tests what watches the shop: rules, alerts, runbooks, the local stack.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/test-monitoring.sh [--fire-all] [PYTEST-ARGUMENT...]

Checks the rules and the settings of Prometheus and Alertmanager, tests every alert where it must fire and where it must
not, and runs the API with Prometheus and Alertmanager beside a private PostgreSQL, without containers: faults are made,
and somebody must be told. Commands of the runbooks that only look are run.

  --fire-all  makes every alert of the application fire for real, which takes about three minutes, and leaves
              target/fired.json

An hour of the rules' times is a second in these runs; thresholds are the real ones.

Works as root, or with sudo; installs what is missing from the system's packages and PyPI. ORDER_FOOD_PROGRAMS names a
folder with programs that are built already.
TEXT
}

fail() { echo "test-monitoring.sh: $*" >&2; exit 1; }

case "${1:-}" in -h | --help) usage; exit 0 ;; esac
cd "$(dirname "$0")/.."

missing=()
for need in promtool:prometheus prometheus amtool:prometheus-alertmanager prometheus-alertmanager curl; do
  command -v "${need%%:*}" >/dev/null || missing+=("${need##*:}")
done
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || fail "missing, and no apt-get to install it: ${missing[*]}"
  sudo=
  [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null || fail "missing, run as root once or install it: ${missing[*]}"; sudo=sudo; }
  echo "test-monitoring.sh: installing ${missing[*]}" >&2
  { $sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -yq --no-install-recommends "${missing[@]}"; } >&2
fi

cache=${XDG_CACHE_HOME:-$HOME/.cache}/order-food
requirements=tests/monitoring/requirements.txt
venv=$cache/venv-monitoring-$(sha256sum "$requirements" | cut -c 1-12)
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
scripts/with-postgres.sh --no-fsync timeout 900 "$venv/bin/python" -m pytest -p no:cacheprovider --quiet --durations 5 tests/monitoring "$@"
