# shellcheck shell=bash
# A shop with a load on it, in a cluster or on this machine, that a fault is put into. Sourced by the scripts beside it,
# which have fail(), and set namespace, release and local.
# shellcheck disable=SC2154 # ok: they do

chaos=${BASH_SOURCE[0]%/*}
needs() { command -v "$1" >/dev/null || fail "$1 is missing: $2"; }

folder=$(mktemp -d)
url='' key='' key_number='' load='' proxy='' nginx='' deployment=''
# Process, port and settings of each API of the local form.
apis=() ports=() settings=()

cluster() { kubectl --namespace "$namespace" "$@"; }
selector() { echo "app.kubernetes.io/instance=$release,app.kubernetes.io/component=api"; }
# In a pod that stays: of a Deployment's pods kubectl chooses one that has been ready for long, and it may be going away.
keys() {
  local pod
  pod=$(ready_pods)
  pod=${pod%%$'\n'*}
  cluster exec "${pod:-$deployment}" --container order-food -- /order-food keys "$@"
}

# await SECONDS WHAT COMMAND...: until the command succeeds.
await() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || fail "not in time: $what"
    sleep 0.1
  done
}

# Runs at the end, whatever becomes of the script. Each script adds to it.
leave_shop() {
  local process
  for process in $load $proxy $nginx "${apis[@]}"; do
    kill "$process" 2>/dev/null || true
  done
  if [ -n "$key_number" ]; then
    keys revoke "$key_number" >/dev/null || echo "chaos: revoke the key by hand: keys revoke $key_number" >&2
  fi
  # Ends with what it waits for, and that ends with its signal.
  wait 2>/dev/null || true
  rm -rf "$folder"
}

# open_shop_in_cluster SCOPES: reaches the release as its Service does, choosing a ready pod for every request.
open_shop_in_cluster() {
  local service port made
  needs kubectl "see https://kubernetes.io/docs/tasks/tools"
  needs python3 "Debian: apt-get install python3"
  deployment=$(cluster get deployment --selector "$(selector)" --output name)
  service=$(cluster get service --selector "$(selector)" --output name)
  if [ -z "$deployment" ] || [ -z "$service" ]; then
    fail "namespace $namespace has no release $release"
  fi
  made=$(keys create --client "chaos-$(date +%s)-$$" --scopes "$1")
  key_number=$(sed -n 's/^created \([0-9]*\)$/\1/p' <<<"$made")
  key=$(tail -n 1 <<<"$made")
  [ -n "$key_number" ] || fail "no key was made: $made"
  : >"$folder/proxy"
  kubectl proxy --port 0 >"$folder/proxy" 2>&1 &
  proxy=$!
  await 30 "kubectl proxy serves" grep -q '^Starting to serve on' "$folder/proxy"
  port=$(sed -n 's/^Starting to serve on .*:\([0-9]*\)$/\1/p' "$folder/proxy")
  url=http://127.0.0.1:$port/api/v1/namespaces/$namespace/services/${service#*/}:http/proxy
}

is_gone() { ! kill -0 "$1" 2>/dev/null; }

# start_api NUMBER: with the database of DATABASE_URL; again on the port that it had before.
start_api() {
  local log=$folder/api-$1.log
  : >"$log"
  env "${settings[@]}" SERVER_PORT="${ports[$1]:-0}" "$programs/order-food" >"$log" 2>&1 &
  apis[$1]=$!
  await 30 "API $1 listens: $(tail -n 1 "$log")" grep -q '"listening"' "$log"
  ports[$1]=$(sed -n 's/.*"listening","address":"[^"]*:\([0-9]*\)".*/\1/p' "$log")
  await 30 "API $1 is ready" "$programs/order-food" healthcheck --url "http://127.0.0.1:${ports[$1]}/readyz" 2>"$folder/healthcheck"
}

# open_shop_here APIS SCOPES SETTING...: so many APIs behind nginx, on a database that has tables and data.
open_shop_here() {
  local count=$1 scopes=$2 number port servers=''
  shift 2
  needs nginx "Debian: apt-get install nginx-light"
  needs python3 "Debian: apt-get install python3"
  programs=$(realpath "${ORDER_FOOD_PROGRAMS:-$("$chaos/../build-programs.sh")}")
  settings=(LOG_FORMAT=json "$@")
  for number in $(seq 0 $((count - 1))); do
    start_api "$number"
    servers+="server 127.0.0.1:${ports[$number]} max_fails=0; "
  done
  key=$("$programs/order-food" keys create --client "chaos-$$" --scopes "$scopes" | tail -n 1)
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  cat >"$folder/nginx.conf" <<CONFIGURATION
daemon off;
pid $folder/nginx.pid;
error_log $folder/nginx.log;
events {}
http {
  access_log off;
  client_body_temp_path $folder/body;
  proxy_temp_path $folder/proxied;
  fastcgi_temp_path $folder/fastcgi;
  uwsgi_temp_path $folder/uwsgi;
  scgi_temp_path $folder/scgi;
  underscores_in_headers on;
  upstream apis { $servers keepalive 8; }
  server {
    listen 127.0.0.1:$port;
    location / {
      proxy_pass http://apis;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
CONFIGURATION
  nginx -e "$folder/nginx.log" -c "$folder/nginx.conf" &
  nginx=$!
  url=http://127.0.0.1:$port
  await 10 "nginx serves $url" "$programs/order-food" healthcheck --url "$url/readyz" 2>"$folder/healthcheck"
}

is_running_or_gone() { grep -q '^running$' "$folder/load" || is_gone "$load"; }

# start_load ARGUMENT...: and waits until orders are answered.
start_load() {
  : >"$folder/load"
  SHOP_API_KEY=$key python3 "$chaos/load.py" --url "$url" "$@" >"$folder/load" &
  load=$!
  await 30 "orders are answered" is_running_or_gone
  grep -q '^running$' "$folder/load" || fail "no load: $(cat "$folder/load")$(policy_hint <"$folder/load")"
}

# finish_load SECONDS: goes on for so long after the fault, and then fails or not.
finish_load() {
  local result=0
  # ok: this long the load meets what the fault left
  sleep "$1"
  kill "$load" 2>/dev/null || true
  wait "$load" || result=$?
  load=''
  sed '/^running$/d; s/^/chaos: /' "$folder/load"
  [ "$result" = 0 ] || fail "FAIL: the load did not come out right$(policy_hint <"$folder/load")"
}

# policy_hint <WHAT-WENT-WRONG: what may keep requests from the pods, to be added to a message; nothing where nothing does.
policy_hint() {
  [ -n "$proxy" ] && grep -qiE 'no answer|trying to reach service' || return 0
  [ -n "$(cluster get networkpolicies --output name)" ] || return 0
  echo
  echo "The NetworkPolicies of namespace $namespace keep the API server's proxy out unless they admit its addresses. In the"
  echo "chart's policy these are networkPolicy.ingressCidrs: add those of the nodes that the API server runs on."
}

# live_pods COMPONENT FIELD: "NAME VALUE" of each pod that is neither going away nor over. After an upgrade, pods of the old
# ReplicaSet are there for a while, and even ready.
live_pods() {
  cluster get pods --selector "app.kubernetes.io/instance=$release,app.kubernetes.io/component=$1" \
    --output "jsonpath={range .items[*]}{.metadata.deletionTimestamp}|{.status.phase}|{.metadata.name} $2{\"\\n\"}{end}" |
    sed -nE 's/^\|(Pending|Running)\|//p'
}

# The API's pods that are ready, and whether there are so many.
ready_pods() { live_pods api '{.status.conditions[?(@.type=="Ready")].status}' | sed -n 's/ True$//p'; }
has_ready_pods() { [ "$(ready_pods | wc -l)" -ge "$1" ]; }

# "NAME COUNT": how often the API's container has started again in each pod.
restarts() { live_pods api '{.status.containerStatuses[?(@.name=="order-food")].restartCount}'; }

# nodes_of COMPONENT: where its pods run.
nodes_of() { live_pods "$1" '{.spec.nodeName}' | sed -n 's/^[^ ]* \(..*\)/\1/p' | sort -u; }

# open_nodes: the nodes that take pods of the API. A taint keeps pods away from a node, unless one of the API is there.
open_nodes() {
  local taken
  taken=" $(nodes_of api | tr '\n' ' ')"
  kubectl get nodes --output \
    'jsonpath={range .items[*]}{.metadata.name}|{.spec.unschedulable}|{.status.conditions[?(@.type=="Ready")].status}|{.spec.taints[*].effect}{"\n"}{end}' |
    awk -F '|' -v taken="$taken" '$2 != "true" && $3 == "True" && ($4 !~ /(^| )(NoSchedule|NoExecute)/ || index(taken, " " $1 " ")) { print $1 }'
}
