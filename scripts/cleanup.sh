#!/usr/bin/env bash
# Removes what scripts/deploy.sh installed.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/cleanup.sh [--namespace NAME] [--release NAME] [--data]

Uninstalls the release, with its CronJob and all jobs, from the cluster of kubectl's current context. The volume of the
chart's own PostgreSQL, and so the orders, stays.

  --namespace NAME   default: default
  --release NAME     default: order-food
  --data             remove that volume too: every order in it is lost

Needs kubectl and helm.
TEXT
}

fail() { echo "cleanup.sh: $*" >&2; exit "${code:-1}"; }
needs() { command -v "$1" >/dev/null || fail "$1 is missing: $2"; }

namespace=default release=order-food data=''
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --namespace | --release)
      [ -n "${2:-}" ] || code=2 fail "$1 needs a value"
      declare "${1#--}=$2"
      shift 2
      ;;
    --data) data=yes; shift ;;
    *) usage >&2; exit 2 ;;
  esac
done
needs kubectl "see https://kubernetes.io/docs/tasks/tools"
needs helm "see https://helm.sh/docs/intro/install"

helm uninstall "$release" --namespace "$namespace" --ignore-not-found --wait --timeout 5m
# The pod of helm test, which is no part of the release.
kubectl delete pod --namespace "$namespace" --ignore-not-found --timeout 1m \
  --selector "app.kubernetes.io/instance=$release,app.kubernetes.io/component=test"
volumes=(persistentvolumeclaim --namespace "$namespace"
  --selector "app.kubernetes.io/instance=$release,app.kubernetes.io/component=postgresql")
if [ -n "$data" ]; then
  kubectl delete "${volumes[@]}" --ignore-not-found --timeout 5m
else
  kept=$(kubectl get "${volumes[@]}" --output name)
  [ -z "$kept" ] || echo "cleanup.sh: $kept is kept, with the orders; --data removes it"
fi
