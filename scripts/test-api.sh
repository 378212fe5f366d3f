#!/usr/bin/env bash
# Shows that a deployed API works: reads the menu, places an order, reads it again.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/test-api.sh [--url URL | --namespace NAME --release NAME] [--key KEY] [--load SECONDS]

Asks the API whether it is ready, reads the menu, places an order, and reads that order back. Without --url it reaches
the API of the release by kubectl port-forward.

  --url URL          such as https://shop.example
  --namespace NAME   default: default
  --release NAME     default: order-food
  --key KEY          API key with the scopes create_order and read_orders; default: apitest, of the demo data
  --load SECONDS     then read the menu and price an order, over 8 connections, for up to 300 s; nothing is stored.
                     Fails if any request does

Needs curl; without --url kubectl; for --load wrk.
TEXT
}

fail() { echo "test-api.sh: $*" >&2; exit "${code:-1}"; }
needs() { command -v "$1" >/dev/null || fail "$1 is missing: $2"; }

url='' namespace=default release=order-food key=apitest load=''
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --url | --namespace | --release | --key | --load)
      [ -n "${2:-}" ] || code=2 fail "$1 needs a value"
      declare "${1#--}=$2"
      shift 2
      ;;
    *) usage >&2; exit 2 ;;
  esac
done
needs curl "Debian: apt-get install curl"
[ -z "$load" ] || needs wrk "Debian: apt-get install wrk"
[[ ${load:-1} =~ ^[1-9][0-9]{0,2}$ && ${load:-1} -le 300 ]] || code=2 fail "--load takes 1 to 300 seconds, not $load"

folder=$(mktemp -d)
forward=''
stop() {
  [ -z "$forward" ] || kill "$forward" 2>/dev/null || true
  rm -rf "$folder"
}
trap stop EXIT

if [ -z "$url" ]; then
  needs kubectl "see https://kubernetes.io/docs/tasks/tools"
  selector="app.kubernetes.io/instance=$release,app.kubernetes.io/component=api"
  service=$(kubectl --namespace "$namespace" get service --output name --selector "$selector")
  [ -n "$service" ] || fail "namespace $namespace has no release $release: install it with scripts/deploy.sh"
  # A pod that stays: right after an upgrade kubectl's own choice for the Service is an old one, which is going away.
  ready=$(kubectl --namespace "$namespace" get pods --selector "$selector" --output \
    'jsonpath={range .items[*]}{.metadata.deletionTimestamp}|{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' |
    sed -n 's/^|\(.*\) True$/pod\/\1/p')
  target=${ready%%$'\n'*}
  : >"$folder/forward"
  kubectl --namespace "$namespace" port-forward "${target:-$service}" :http >"$folder/forward" 2>&1 &
  forward=$!
  deadline=$((SECONDS + 30))
  until port=$(sed -n 's/^Forwarding from 127\.0\.0\.1:\([0-9]*\) .*/\1/p' "$folder/forward") && [ -n "$port" ]; do
    kill -0 "$forward" 2>/dev/null || fail "no way to $service: $(cat "$folder/forward")"
    [ "$SECONDS" -lt "$deadline" ] || fail "no way to $service within 30 s: $(cat "$folder/forward")"
    sleep 0.2
  done
  url=http://127.0.0.1:$port
fi
url=${url%/}

# ask WANTED WHAT ARGUMENT...: the answer is in $folder/body.
ask() {
  local wanted=$1 what=$2 status
  shift 2
  status=$(curl --silent --show-error --max-time 10 --output "$folder/body" --write-out '%{http_code}' "$@") ||
    fail "$what: no answer from $url"
  [ "$status" = "$wanted" ] || fail "$what: $status instead of $wanted: $(head -c 500 "$folder/body")"
  echo "test-api.sh: $what: $status"
}

json='Content-Type: application/json'
items='{"items":[{"productId":"1","quantity":2},{"productId":"3","quantity":1}]}'
ask 200 "ready" "$url/readyz"
ask 200 "menu" "$url/api/product"
ask 200 "order" "$url/api/order" --header "$json" --header "api_key: $key" --data "$items"
order=$(sed -n 's/.*"id" *: *"\([0-9a-f-]\{36\}\)".*/\1/p' "$folder/body" | head -n 1)
[ -n "$order" ] || fail "the order has no id: $(head -c 500 "$folder/body")"
ask 200 "order $order" "$url/api/order/$order" --header "api_key: $key"
ask 401 "order without a key" "$url/api/order" --header "$json" --data "$items"

if [ -n "$load" ]; then
  cat >"$folder/load.lua" <<LUA
local count = 0
request = function()
  count = count + 1
  if count % 10 == 0 then
    return wrk.format("POST", "/api/order/quote", {["Content-Type"] = "application/json"}, [[$items]])
  end
  return wrk.format("GET", "/api/product")
end
LUA
  wrk --threads 2 --connections 8 --duration "${load}s" --latency --script "$folder/load.lua" "$url" | tee "$folder/load"
  ! grep -qE '^ *(Non-2xx|Socket errors)' "$folder/load" || fail "requests failed under load"
fi
echo "test-api.sh: all works"
