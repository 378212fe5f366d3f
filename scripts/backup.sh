#!/usr/bin/env bash
# Copies the database into a file, while the API runs.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: DATABASE_URL=URL scripts/backup.sh [--deadline SECONDS] FILE
       scripts/backup.sh --pod POD [--namespace NAME] [--deadline SECONDS] FILE

Writes all that is in the database at one moment into FILE: orders, idempotency keys, menu, API keys (hashed), promotions
and coupon codes. The API goes on serving. FILE appears when it is complete and on the disk; one that is there already
is not touched. It holds orders of customers: only its owner may read it.

PostgreSQL is dumped in pg_dump's custom format, SQLite copied with VACUUM INTO. scripts/restore.sh takes both.
The pepper (API_KEY_PEPPER) is not in the database: keep it too, or no key opens anything after a restore.

  --pod POD            the database of a PostgreSQL that runs in this pod, such as the chart's order-food-postgresql-0, with
                       the pod's own pg_dump and pg_restore; DATABASE_URL is not read
  --namespace NAME     the pod's; default: default
  --deadline SECONDS   give up then; default: 3600

DATABASE_URL_FILE is read as by the programs, and so are the PG* variables. Needs sqlite3, or a pg_dump that is not older
than the server (that of Debian 12 is of PostgreSQL 15, the chart's server is 17), or with --pod kubectl.
TEXT
}

fail() { echo "backup.sh: $*" >&2; exit "${code:-1}"; }
needs() { command -v "$1" >/dev/null || fail "$1 is missing: $2"; }

deadline=3600 target='' pod='' namespace=default
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --deadline | --pod | --namespace)
      [ -n "${2:-}" ] || code=2 fail "$1 needs a value"
      declare "${1#--}=$2"
      shift 2
      ;;
    -*) usage >&2; exit 2 ;;
    *)
      [ -z "$target" ] || { usage >&2; exit 2; }
      target=$1
      shift
      ;;
  esac
done
[ -n "$target" ] || { usage >&2; exit 2; }
[[ $deadline =~ ^[1-9][0-9]{0,5}$ ]] || code=2 fail "--deadline takes seconds, not $deadline"
[ ! -e "$target" ] || fail "$target is there already; choose another name"

# shellcheck source=scripts/database/connection.sh
. "$(dirname "$0")/database/connection.sh"
connect
umask 077
part=$target.part.$$ said=$target.part.$$.said
trap 'rm -f "$part" "$said"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
limited=(timeout --kill-after=10 "$deadline")
start=$SECONDS
case $engine in
  postgres)
    # A migration under way holds locks that a dump would wait for without end.
    dump=(pg_dump "${to_database[@]}" --format=custom --no-owner --no-privileges --lock-wait-timeout=30s)
    if [ -n "$pod" ]; then
      "${limited[@]}" "${at_server[@]}" "${dump[@]}" </dev/null >"$part" ||
        fail "the PostgreSQL of $pod was not dumped within $deadline s, or refused; nothing was written"
      # To its end: a stream that broke off may look like one that ended.
      "${limited[@]}" "${at_server[@]}" pg_restore --file=/dev/null <"$part" || fail "the dump cannot be read; nothing was written"
    else
      needs pg_dump "Debian: apt-get install postgresql-client; or take the server's own, see --pod in --help"
      if ! LC_ALL=C "${limited[@]}" "${dump[@]}" --file="$part" 2>"$said"; then
        versions=$(sed -nE 's/.*server version: ([0-9]+).*pg_dump version: ([0-9]+).*/\1 \2/p' "$said")
        [ -z "$versions" ] || fail "pg_dump is that of PostgreSQL ${versions#* }, older than the server's ${versions% *}: install" \
          "postgresql-client-${versions% *} (https://wiki.postgresql.org/wiki/Apt), or take the server's own, see --pod in" \
          "--help; nothing was written"
        cat "$said" >&2
        fail "PostgreSQL was not dumped within $deadline s, or refused; nothing was written"
      fi
      pg_restore --list "$part" >/dev/null || fail "the dump cannot be read; nothing was written"
    fi
    ;;
  sqlite)
    [ -e "$file" ] || fail "$file is not there"
    # Not the backup command, which begins again with every order that comes in.
    "${limited[@]}" sqlite3 -cmd '.timeout 10000' "$file" "vacuum into $(quoted "$part")" ||
      fail "$file was not copied within $deadline s; nothing was written"
    [ "$(sqlite3 "$part" 'pragma quick_check')" = ok ] || fail "the copy is damaged; nothing was written"
    ;;
esac
sync "$part"
# Fails if the file has appeared meanwhile.
ln "$part" "$target"
sync "$(dirname "$target")"
echo "backup.sh: $target, $(stat --format %s "$target") bytes, in $((SECONDS - start)) s"
