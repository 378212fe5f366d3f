#!/usr/bin/env bash
# Runs a command beside a private PostgreSQL that is gone when the command ends.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/with-postgres.sh [--no-fsync] COMMAND [ARGUMENT...]

Starts PostgreSQL 15 or newer on a free port, in a temporary directory and as a user other than root, sets
  TEST_POSTGRES_URL   a superuser's URL, e.g. postgres://postgres@127.0.0.1:40123/postgres?sslmode=disable
  TEST_POSTGRES_BIN   the folder of the server's programs
for COMMAND, runs it, and stops the server. The role "tls_only" can connect over TLS only.

  --no-fsync   for tests: commits survive a killed server, not a power cut

If no server is installed, the system's package is (apt-get, as root or with sudo).
TEXT
}

fail() { echo "with-postgres.sh: $*" >&2; exit 1; }

fsync=on
case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  --no-fsync) fsync=off; shift ;;
esac
[ $# -gt 0 ] || { usage >&2; exit 2; }

find_server() {
  local candidate version
  for candidate in "$(command -v postgres || true)" $(ls -d /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres 2>/dev/null | sort -rV); do
    [ -n "$candidate" ] && [ -x "$candidate" ] || continue
    candidate=$(readlink -f "$candidate")
    version=$("$candidate" --version | grep -oE '[0-9]+' | head -n 1)
    if [ "$version" -ge 15 ] && [ -x "$(dirname "$candidate")/initdb" ]; then
      dirname "$candidate"
      return
    fi
  done
}

bin=$(find_server)
if [ -z "$bin" ]; then
  command -v apt-get >/dev/null || fail "no PostgreSQL 15 or newer found, and no apt-get to install it: please install it"
  sudo=
  [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null || fail "PostgreSQL is missing: run as root once, or install it"; sudo=sudo; }
  echo "with-postgres.sh: installing PostgreSQL" >&2
  { $sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -yq postgresql openssl; } >&2
  bin=$(find_server)
  [ -n "$bin" ] || fail "the system's PostgreSQL is older than 15"
fi
command -v openssl >/dev/null || fail "openssl is missing: it makes the test server's certificate"

directory=$(mktemp -d "${TMPDIR:-/tmp}/order-food-postgres.XXXXXX")
as_owner=()
if [ "$(id -u)" -eq 0 ]; then
  owner=postgres
  id -u "$owner" >/dev/null 2>&1 || owner=nobody
  chown "$owner" "$directory"
  as_owner=(setpriv --reuid "$owner" --regid "$(id -g "$owner")" --clear-groups env HOME="$directory")
fi
data=$directory/data
log=$directory/log

stop() {
  "${as_owner[@]}" "$bin/pg_ctl" -D "$data" -m immediate -w stop >/dev/null 2>&1 || true
  rm -rf "$directory"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cd "$directory"
"${as_owner[@]}" "$bin/initdb" -D "$data" -U postgres -A trust -E UTF8 --no-locale --no-sync >"$log" 2>&1 || { cat "$log" >&2; fail "initdb failed"; }
"${as_owner[@]}" openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
  -keyout "$data/server.key" -out "$data/server.crt" 2>/dev/null || fail "no certificate"
"${as_owner[@]}" chmod 600 "$data/server.key"
"${as_owner[@]}" tee "$data/pg_hba.conf" >/dev/null <<'TEXT'
local   all all                    trust
hostssl all tls_only 127.0.0.1/32  trust
host    all tls_only 127.0.0.1/32  reject
host    all all      127.0.0.1/32  trust
TEXT
started=
for _ in 1 2 3 4 5; do
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])' 2>/dev/null || shuf -i 20000-29999 -n 1)
  # More than the default number of connections and locks: many tests run at once, each with a database of its own.
  if "${as_owner[@]}" "$bin/pg_ctl" -D "$data" -l "$directory/server.log" -w -t 60 start >/dev/null 2>&1 \
    -o "-p $port -k $directory -c listen_addresses=127.0.0.1 -c ssl=on -c max_connections=300 -c fsync=$fsync -c shared_buffers=256MB -c max_wal_size=4GB"; then
    started=yes
    break
  fi
done
[ -n "$started" ] || { cat "$directory/server.log" >&2; fail "the server did not start"; }
"$bin/psql" -qX -h 127.0.0.1 -p "$port" -U postgres -c 'create role tls_only superuser login' >/dev/null
cd - >/dev/null

export TEST_POSTGRES_URL="postgres://postgres@127.0.0.1:$port/postgres?sslmode=disable"
export TEST_POSTGRES_BIN=$bin
# In the background and waited for, so that a signal stops the server at once.
"$@" <&0 &
command=$!
trap 'kill -TERM $command 2>/dev/null; wait $command; exit 143' TERM
trap 'kill -INT $command 2>/dev/null; wait $command; exit 130' INT
wait $command
