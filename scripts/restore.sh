#!/usr/bin/env bash
# Puts what scripts/backup.sh wrote into a database.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: DATABASE_URL=URL scripts/restore.sh [--overwrite] [--deadline SECONDS] FILE
       scripts/restore.sh --pod POD [--namespace NAME] [--overwrite] [--deadline SECONDS] FILE

Replaces all that is in the database by what is in FILE, or leaves it as it was. PostgreSQL's database must exist,
SQLite's file need not. Stop the APIs first: with one connected nothing is done. Afterwards run database-migration, for
a backup of an older release, and start the APIs with the pepper of the time of the backup.

  --pod POD            into the database of a PostgreSQL that runs in this pod, such as the chart's order-food-postgresql-0,
                       with the pod's own psql and pg_restore; DATABASE_URL is not read
  --namespace NAME     the pod's; default: default
  --overwrite          do so although the database has orders; they are lost
  --deadline SECONDS   give up then; default: 3600

DATABASE_URL_FILE is read as by the programs, and so are the PG* variables. Needs sqlite3, or psql and a pg_restore that is
not older than the pg_dump that wrote FILE, or with --pod kubectl.
TEXT
}

fail() { echo "restore.sh: $*" >&2; exit "${code:-1}"; }
needs() { command -v "$1" >/dev/null || fail "$1 is missing: $2"; }

deadline=3600 overwrite='' source='' pod='' namespace=default
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --overwrite) overwrite=yes; shift ;;
    --deadline | --pod | --namespace)
      [ -n "${2:-}" ] || code=2 fail "$1 needs a value"
      declare "${1#--}=$2"
      shift 2
      ;;
    -*) usage >&2; exit 2 ;;
    *)
      [ -z "$source" ] || { usage >&2; exit 2; }
      source=$1
      shift
      ;;
  esac
done
[ -n "$source" ] || { usage >&2; exit 2; }
[[ $deadline =~ ^[1-9][0-9]{0,5}$ ]] || code=2 fail "--deadline takes seconds, not $deadline"
[ -r "$source" ] || fail "$source cannot be read"

# shellcheck source=scripts/database/connection.sh
. "$(dirname "$0")/database/connection.sh"
connect
umask 077
limited=(timeout --kill-after=10 "$deadline")
start=$SECONDS

# refuse_orders COUNT
refuse_orders() {
  [ "$1" = 0 ] || [ -n "$overwrite" ] || fail "the database has $1 orders; with --overwrite they are lost"
}

case $engine in
  postgres)
    [ -n "$pod" ] || needs psql "Debian: apt-get install postgresql-client"
    [ "$(head -c 5 "$source")" = PGDMP ] || fail "$source is not a backup of PostgreSQL"
    if [ -z "$pod" ] && said=$(LC_ALL=C pg_restore --list "$source" 2>&1 >/dev/null || true) && [[ $said == *'unsupported version'* ]]; then
      fail "$(pg_restore --version) is older than the pg_dump that wrote $source: install the server's postgresql-client" \
        "(https://wiki.postgresql.org/wiki/Apt), or take the server's own, see --pod in --help"
    fi
    psql=(psql "${to_database[@]}" --no-psqlrc --quiet --set=ON_ERROR_STOP=1)
    ask() { "${limited[@]}" "${at_server[@]}" "${psql[@]}" --tuples-only --no-align --command "$1" </dev/null; }
    others=$(ask "select count(*) from pg_stat_activity where datname = current_database() and usename is not null and pid <> pg_backend_pid()") ||
      fail "the database does not answer"
    [ "$others" = 0 ] || fail "$others connections are open: stop the APIs and jobs of this database first"
    orders=0
    [ -z "$(ask "select to_regclass('public.orders')")" ] || orders=$(ask 'select count(*) from public.orders')
    refuse_orders "$orders"
    # From version 17 on pg_restore sets this, which older servers do not know.
    only_known="s/^SET transaction_timeout = 0;\$/select set_config(name, '0', false) from pg_settings where name = 'transaction_timeout';/"
    # One transaction, which ends with the connection unless the whole file was read. All of it runs in the pod, if there is
    # one: a stream from there that broke off may look like one that ended.
    # shellcheck disable=SC2016 # ok: the shell that it is given to expands it
    replace='
      only_known=$1
      shift
      {
        echo "begin; set local lock_timeout = '"'30s'"'; drop schema if exists public cascade; create schema public;"
        pg_restore --no-owner --no-privileges --file=- | LC_ALL=C sed "1,/^SET client_encoding/$only_known" && echo "commit;"
      } | "$@"'
    "${limited[@]}" "${at_server[@]}" bash -o pipefail -c "$replace" bash "$only_known" "${psql[@]}" --output=/dev/null <"$source" ||
      fail "$source was not restored; the database is as it was"
    orders=$(ask 'select count(*) from public.orders') || fail "$source has no orders table: is it a backup of order-food?"
    ;;
  sqlite)
    [ "$(head -c 15 "$source")" = 'SQLite format 3' ] || fail "$source is not a backup of SQLite"
    [ "$("${limited[@]}" sqlite3 -readonly "$source" 'pragma quick_check')" = ok ] || fail "$source is damaged"
    orders_of() { sqlite3 -readonly "$1" "select count(*) from orders" 2>/dev/null; }
    orders_of "$source" >/dev/null || fail "$source has no orders table: is it a backup of order-food?"
    if [ -e "$file" ]; then
      # Ends the write-ahead log, which only the last connection can.
      [ "$(sqlite3 -cmd '.timeout 2000' "$file" 'pragma journal_mode = delete' 2>/dev/null)" = delete ] ||
        fail "$file is in use: stop the API and jobs of this database first"
      refuse_orders "$(orders_of "$file" || echo 0)"
    fi
    part=$file.part.$$
    trap 'rm -f "$part"' EXIT
    "${limited[@]}" cp -- "$source" "$part"
    [ ! -e "$file" ] || { chown --reference="$file" -- "$part" && chmod --reference="$file" -- "$part"; }
    sync "$part"
    mv -- "$part" "$file"
    sync "$(dirname "$file")"
    orders=$(orders_of "$file")
    ;;
esac
echo "restore.sh: $orders orders from $source, in $((SECONDS - start)) s"
