#!/usr/bin/env bash
# Drains a node with pods of the API while orders come in, and says whether any order suffered.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/chaos/node-drain.sh [--namespace NAME --release NAME] [--node NAME] [--after SECONDS]

Drains a node, so that its pods are evicted as far as PodDisruptionBudgets allow and start elsewhere, while clients
order; then lets pods onto it again. Passes if every request was answered in the end (clients send again, under the
order's Idempotency-Key), every confirmed order is stored, none is stored twice, and the API runs elsewhere.

All pods of the node are evicted, those of others too: not for a cluster where that hurts. Another node must take the
API's pods: otherwise kubectl drain would wait, since the PodDisruptionBudget keeps the last ready ones where they are.

  --namespace NAME   default: default
  --release NAME     default: order-food
  --node NAME        default: one with a pod of the API and, if possible, without the chart's PostgreSQL
  --after SECONDS    how long to go on afterwards; default: 5

The load makes an API key for itself, and revokes it. Its orders stay in the shop.
Needs python3 and kubectl.

In a cluster requests come through the API server's proxy. With networkPolicy.enabled=true, networkPolicy.ingressCidrs must
list the nodes that the API server runs on.
TEXT
}

fail() { echo "node-drain.sh: $*" >&2; exit "${code:-1}"; }

namespace=default release=order-food node='' after=5
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --namespace | --release | --node | --after)
      [ -n "${2:-}" ] || code=2 fail "$1 needs a value"
      declare "${1#--}=$2"
      shift 2
      ;;
    *) usage >&2; exit 2 ;;
  esac
done
[[ $after =~ ^[0-9]{1,3}$ ]] || code=2 fail "--after takes seconds, not $after"

# shellcheck source=scripts/chaos/shop.sh
. "$(dirname "$0")/shop.sh"
drained=''
leave() {
  [ -z "$drained" ] || kubectl uncordon "$drained" || echo "node-drain.sh: by hand: kubectl uncordon $drained" >&2
  leave_shop
}
trap leave EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

open_shop_in_cluster 'create_order read_orders'
has_ready_pods 2 || fail "one pod is ready: without a second one a drain is an outage"
if [ -z "$node" ]; then
  # Not the database's, if there is a choice: that is another test.
  node=$(comm -23 <(nodes_of api) <(nodes_of postgresql) | head -n 1)
  node=${node:-$(nodes_of api | head -n 1)}
fi
[ -n "$node" ] || fail "no pod of the API is on a node"
[ -n "$(open_nodes | grep -vxF "$node")" ] ||
  fail "no node but $node takes pods: its pods have nowhere to go, and kubectl drain would wait for the PodDisruptionBudget"

wanted=$(ready_pods | wc -l)
start_load --rate 100
echo "chaos: draining node $node"
drained=$node
kubectl drain "$node" --ignore-daemonsets --delete-emptydir-data --timeout 10m
await 900 "$wanted pods are ready again" has_ready_pods "$wanted"
finish_load "$after"
! nodes_of api | grep -qxF "$node" || fail "FAIL: pods of the API are on $node still"
echo "$(basename "$0"): PASS: $node was drained, every order is there once"
