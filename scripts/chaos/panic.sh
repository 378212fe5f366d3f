#!/usr/bin/env bash
# Makes handlers of the API panic while orders come in, and says whether anybody else noticed.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/chaos/panic.sh [--local | --namespace NAME --release NAME] [--panics N] [--after SECONDS]

Asks for /panic while clients order. Passes if each panic is answered with 500, no other request fails, not even once,
and no process is started again.

  --local            a process on this machine, on SQLite, instead of a cluster. ORDER_FOOD_PROGRAMS names a folder with
                     programs that are built already
  --namespace NAME   default: default
  --release NAME     default: order-food; it must be installed with --set faultInjection=true
  --panics N         how many, 1 to 999; default: 20
  --after SECONDS    how long to go on after the last; default: 2

The load makes an API key for itself, with the scope admin, and revokes it. Its orders stay in the shop.
Needs curl, python3 and kubectl; with --local nginx.

In a cluster requests come through the API server's proxy. With networkPolicy.enabled=true, networkPolicy.ingressCidrs must
list the nodes that the API server runs on.
TEXT
}

fail() { echo "panic.sh: $*" >&2; exit "${code:-1}"; }

namespace=default release=order-food local='' panics=20 after=2
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --local) local=yes; shift ;;
    --namespace | --release | --panics | --after)
      [ -n "${2:-}" ] || code=2 fail "$1 needs a value"
      declare "${1#--}=$2"
      shift 2
      ;;
    *) usage >&2; exit 2 ;;
  esac
done
[[ $panics =~ ^[1-9][0-9]{0,2}$ ]] || code=2 fail "--panics takes 1 to 999, not $panics"
[[ $after =~ ^[0-9]{1,3}$ ]] || code=2 fail "--after takes seconds, not $after"

# shellcheck source=scripts/chaos/shop.sh
. "$(dirname "$0")/shop.sh"
trap leave_shop EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

needs curl "Debian: apt-get install curl"
scopes='admin create_order read_orders'
if [ -n "$local" ]; then
  export DATABASE_URL=sqlite://$folder/shop.db
  open_shop_here 1 "$scopes" ENABLE_FAULT_INJECTION=true
  restarts() { echo "${apis[0]} $(is_gone "${apis[0]}" && echo 1)"; }
else
  open_shop_in_cluster "$scopes"
  # The upgrade that turns fault injection on may be under way.
  cluster rollout status "$deployment" --timeout 15m >&2 || fail "the rollout of $deployment does not end"
fi
restarts >"$folder/before"
# No order may notice: nothing is tried again.
start_load --strict --rate 100

# The key is in a file: other users of the machine see arguments.
(umask 077 && echo "header = \"X-API-Key: $key\"" >"$folder/curl")
for number in $(seq "$panics"); do
  status=$(curl --silent --show-error --max-time 10 --config "$folder/curl" --output "$folder/answer" --write-out '%{http_code}' "$url/panic") ||
    fail "FAIL: panic $number got no answer$(policy_hint <<<"no answer")"
  [ "$status" != 404 ] || fail "there is no /panic: install with --set faultInjection=true, or set ENABLE_FAULT_INJECTION=true"
  if [ "$status" != 500 ] || ! grep -q '"reason":"internal"' "$folder/answer"; then
    fail "FAIL: panic $number was answered with $status: $(head -c 300 "$folder/answer")"
  fi
done
finish_load "$after"
restarts >"$folder/after"
again=$(awk 'FILENAME ~ /before$/ { before[$1] = $2; next } $2 + 0 > before[$1] + 0 { print $1 }' "$folder/before" "$folder/after")
[ -z "$again" ] || fail "FAIL: a process was started again: ${again//$'\n'/, }"
# What took another pod's place says nothing about that one.
grep -qFf <(sed 's/ .*/ /' "$folder/before") "$folder/after" || fail "FAIL: all pods were replaced meanwhile, so a restart would not be seen"
echo "$(basename "$0"): PASS: $panics panics, each answered with 500; nothing else noticed"
