#!/usr/bin/env bash
# Deletes pods of the API while orders come in, and says whether any order suffered.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/chaos/pod-delete.sh [--local | --namespace NAME --release NAME] [--pods N] [--hard] [--after SECONDS]

Deletes pods of the API, chosen at random, one after another, each when the one before is replaced, while clients order.
Passes if every request was answered in the end (clients send again, under the order's Idempotency-Key), every confirmed
order is stored, and none is stored twice.

  --local            two processes behind nginx on this machine instead of a cluster: they get SIGTERM, or with --hard
                     SIGKILL, and are started again. DATABASE_URL names a PostgreSQL for tests; without it a private one
                     is started. ORDER_FOOD_PROGRAMS names a folder with programs that are built already
  --namespace NAME   default: default
  --release NAME     default: order-food
  --pods N           how many to delete, 1 to 99; default: 2
  --hard             without a grace period, as when a node is lost
  --after SECONDS    how long to go on after the last; default: 5

The load makes an API key for itself, and revokes it. Its orders stay in the shop.
Needs python3 and kubectl; with --local nginx.

In a cluster requests come through the API server's proxy. With networkPolicy.enabled=true, networkPolicy.ingressCidrs must
list the nodes that the API server runs on.
TEXT
}

fail() { echo "pod-delete.sh: $*" >&2; exit "${code:-1}"; }

namespace=default release=order-food local='' pods=2 hard='' after=5
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --local) local=yes; shift ;;
    --hard) hard=yes; shift ;;
    --namespace | --release | --pods | --after)
      [ -n "${2:-}" ] || code=2 fail "$1 needs a value"
      declare "${1#--}=$2"
      shift 2
      ;;
    *) usage >&2; exit 2 ;;
  esac
done
[[ $pods =~ ^[1-9][0-9]?$ ]] || code=2 fail "--pods takes 1 to 99, not $pods"
[[ $after =~ ^[0-9]{1,3}$ ]] || code=2 fail "--after takes seconds, not $after"

if [ -n "$local" ] && [ -z "${DATABASE_URL:-}" ]; then
  exec "$(dirname "$0")/../with-postgres.sh" env DATABASE_URL=of-the-test "$0" --local --pods "$pods" --after "$after" ${hard:+--hard}
fi

# shellcheck source=scripts/chaos/shop.sh
. "$(dirname "$0")/shop.sh"
trap leave_shop EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

if [ -n "$local" ]; then
  if [ "$DATABASE_URL" = of-the-test ]; then
    export DATABASE_URL=$TEST_POSTGRES_URL
  fi
  programs=$(realpath "${ORDER_FOOD_PROGRAMS:-$("$chaos/../build-programs.sh")}")
  "$programs/database-migration" &>"$folder/migration" || fail "no tables: $(tail -n 1 "$folder/migration")"
  "$programs/database-load" --only products &>"$folder/data" || fail "no data: $(tail -n 1 "$folder/data")"
  open_shop_here 2 'create_order read_orders' SHUTDOWN_DELAY_SECONDS=0
  start_load --rate 400 --clients 8
  for number in $(seq 0 $((pods - 1))); do
    pod=$((number % 2)) kind=TERM
    [ -z "$hard" ] || kind=KILL
    echo "chaos: SIG$kind to API $pod"
    kill "-$kind" "${apis[$pod]}"
    await 40 "API $pod stops" is_gone "${apis[$pod]}"
    start_api "$pod"
  done
else
  open_shop_in_cluster 'create_order read_orders'
  mapfile -t running < <(ready_pods)
  wanted=${#running[@]}
  [ "$wanted" -ge 2 ] || fail "$wanted pod is ready: without a second one a deletion is an outage"
  start_load --rate 100
  for _ in $(seq "$pods"); do
    mapfile -t running < <(ready_pods)
    pod=${running[RANDOM % ${#running[@]}]}
    echo "chaos: deleting pod $pod"
    cluster delete pod "$pod" --timeout 2m ${hard:+--grace-period=0 --force}
    await 900 "$wanted pods are ready again" has_ready_pods "$wanted"
  done
fi
finish_load "$after"
echo "$(basename "$0"): PASS: $pods deleted, every order is there once"
