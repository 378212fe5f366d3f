#!/usr/bin/env bash
# PostgreSQL 16.2, as packaged in pgserver 0.1.4 (PyPI)
#
# With `synchronous_standby_names` set, a commit waits until a standby has it. If the waiting statement is cancelled, the
# client gets no error: the commit is reported as done, with a warning beside it (SQLSTATE 01000, in the server's language),
# and the row is there. Drivers that hand warnings to a log only, as sqlx 0.9 does, show no difference at all. No timeout
# of the server ends this wait, so administrators do, and programs that give up on a session.
#
# Why it matters: an order that is acknowledged then is on no standby, and the next failover loses it. order-food listens
# to warnings during each commit, and acknowledges what it finds only after another commit has passed.
set -euo pipefail

folder=$(mktemp -d)
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pgserver==0.1.4
bin=$(dirname "$(find "$folder/venv" -name initdb -type f)")
as=()
if [ "$(id -u)" -eq 0 ]; then
  # The server refuses to run as root.
  as=(setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups)
  chmod 755 "$folder"
fi
mkdir "$folder/server"
[ ${#as[@]} -eq 0 ] || chown nobody "$folder/server"
stop() {
  "${as[@]}" "$bin/pg_ctl" -D "$folder/server/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$folder"
}
trap stop EXIT

cd "$folder/server"
"${as[@]}" "$bin/initdb" -D data -U shop -A trust --no-sync >/dev/null
"${as[@]}" "$bin/pg_ctl" -D data -l log -w -o "-k $folder/server -c listen_addresses= -c synchronous_standby_names=*" start >/dev/null
sql() { "$bin/psql" -qAtX -h "$folder/server" -U shop -d postgres "$@"; }

sql -c "set synchronous_commit = local" -c "create table orders (id int)"
sql -c "insert into orders values (1)" >"$folder/server/client" 2>&1 &
client=$!
until [ "$(sql -c "select count(pg_cancel_backend(pid)) from pg_stat_activity where wait_event = 'SyncRep'")" = 1 ]; do sleep 0.1; done
code=0
wait "$client" || code=$?
echo "the client that inserted and was cancelled ends with $code, and hears:"
cat "$folder/server/client"
echo "orders that are there: $(sql -c 'select count(*) from orders'), standbys: $(sql -c 'select count(*) from pg_stat_replication')"
"$bin/postgres" --version
[ "$code" = 0 ] && grep -q '^WARNING' "$folder/server/client" && [ "$(sql -c 'select count(*) from orders')" = 1 ]
