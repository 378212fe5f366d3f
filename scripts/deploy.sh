#!/usr/bin/env bash
# Builds the images and installs the chart into the cluster that kubectl points to.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/deploy.sh [--namespace NAME] [--release NAME] [--key KEY] [--images-only] [--no-images] [-- HELM-ARGUMENT...]

Builds the three images, loads them into the cluster of kubectl's current context (kind, minikube or Docker Desktop),
runs helm upgrade --install, waits until all is ready, places an order, and prints how to reach the API. Pods are
replaced where an image or a setting changed, and only then.

  --namespace NAME   default: default; made if it is missing
  --release NAME     default: order-food
  --key KEY          places that order; without the demo data, one made by "order-food keys create"; default: apitest
  --images-only      build and load the images, no more
  --no-images        take images that the cluster can get; the way for clusters that pull from a registry, with
                     -- --set image.registry=REGISTRY,initContainers.databaseMigration.image.registry=REGISTRY,…
  -- ARGUMENT...     more arguments for helm, such as --values FILE or --set replicaCount=3

Needs kubectl, helm 3.14 or newer, and curl; for images docker, and kind or minikube if that is the context.
TEXT
}

fail() { echo "deploy.sh: $*" >&2; exit "${code:-1}"; }
needs() { command -v "$1" >/dev/null || fail "$1 is missing: $2"; }

namespace=default release=order-food key=apitest images=yes install=yes
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --namespace | --release | --key)
      [ -n "${2:-}" ] || code=2 fail "$1 needs a value"
      declare "${1#--}=$2"
      shift 2
      ;;
    --images-only) install=''; shift ;;
    --no-images) images=''; shift ;;
    --) shift; break ;;
    *) usage >&2; exit 2 ;;
  esac
done
[ -n "$images$install" ] || code=2 fail "--images-only and --no-images leave nothing to do"

cd "$(dirname "$0")/.."
needs kubectl "see https://kubernetes.io/docs/tasks/tools"
context=$(kubectl config current-context) || fail "kubectl has no current context: try \"make cluster-create\""
if [ -n "$install" ]; then
  needs helm "see https://helm.sh/docs/intro/install"
  needs curl "it places the order that shows that all works"
fi
if [ -n "$images" ]; then
  needs docker "see https://docs.docker.com/engine/install"
  case $context in
    kind-*)
      needs kind "the context is $context"
      load=(kind load docker-image --name "${context#kind-}")
      ;;
    minikube)
      needs minikube "the context is $context"
      load=(minikube image load --overwrite=true)
      ;;
    docker-desktop) load=(:) ;;
    *) fail "the context $context is neither kind-*, minikube nor docker-desktop: its nodes pull images from a registry, see --no-images in --help" ;;
  esac
fi
[ -z "$install" ] || kubectl cluster-info >/dev/null || fail "the cluster of the context $context does not answer"

settings=()
if [ -n "$images" ]; then
  version=$(sed -n 's/^appVersion: "\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' helm/order-food/Chart.yaml)
  names=()
  for name in order-food database-migration database-load; do
    names+=("docker.io/library/$name:$version")
  done
  scripts/build-images.sh --engine docker --tag "$version"
  "${load[@]}" "${names[@]}"
  # The tag stays the same: this is how Kubernetes sees that an image has changed.
  ids=$(docker image inspect --format '{{.Id}}' "${names[@]}")
  settings+=(--set-string "podAnnotations.images=$(sha256sum <<<"$ids" | cut -c 1-16)")
fi
[ -n "$install" ] || exit 0

helm upgrade --install "$release" helm/order-food --namespace "$namespace" --create-namespace \
  --wait --timeout 15m "${settings[@]}" "$@"
scripts/test-api.sh --namespace "$namespace" --release "$release" --key "$key"

service=$(kubectl --namespace "$namespace" get service --output name \
  --selector "app.kubernetes.io/instance=$release,app.kubernetes.io/component=api")
cat <<TEXT

order-food runs in the namespace $namespace of $context. Reach it with
  kubectl --namespace $namespace port-forward $service 8080:http
and then
  http://localhost:8080/api/product   the menu
  http://localhost:8080/readyz        whether it is ready, and what is missing
  http://localhost:8080/              where to go from there
TEXT
