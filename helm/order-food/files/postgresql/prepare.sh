# Runs before the server, in its image: makes the shop's database if there are no data, and notices data whose making
# was cut short. The image's entry point takes every folder with a PG_VERSION for a complete one, and initdb writes that
# file first of all: a pod that was killed in its first start would serve without the shop's database for ever.
# Plain sh: the image may be Debian's or Alpine's. No double dollar: Kubernetes makes one of it.
set -eu

data=$PGDATA
unfinished=$data.new
aside=$data.half-made

say() { printf 'order-food: %s\n' "$*"; }

# Whether a number is one that PostgreSQL gives to what is created after initdb, whose own are lower (FirstNormalObjectId).
is_created_later() {
  case $1 in '' | *[!0-9]*) return 1 ;; esac
  [ "$1" -ge 16384 ]
}

# Whether anything may be in there that somebody misses: a table, an index or a sequence in any database, each of which
# has a file with a number of its own; or a backup that waits for its log.
may_hold_something() {
  for file in "$data"/base/*/*; do
    number=${file##*/}
    if is_created_later "${number%%[._]*}"; then return 0; fi
  done
  for file in "$data"/pg_tblspc/* "$data"/backup_label "$data"/standby.signal "$data"/recovery.signal; do
    if [ -e "$file" ] || [ -L "$file" ]; then return 0; fi
  done
  return 1
}

# Whether pg_hba.conf lets in anybody from outside: the entry point adds that line, once initdb is done. A last line
# without an end was cut short, and read ends before it.
lets_clients_in() {
  [ -f "$data/pg_hba.conf" ] || return 1
  while read -r kind _ _ address _; do
    case $kind in
      include*) return 0 ;;
      host*) case $address in 127.0.0.1/32 | ::1/128) ;; *) return 0 ;; esac ;;
    esac
  done <"$data/pg_hba.conf"
  return 1
}

# Whether the shop's database was created. Its folder may be there without it, if the creation was cut short.
has_database() {
  case $POSTGRES_DB in postgres | template1) return 0 ;; esac
  folders=
  for folder in "$data"/base/*; do
    if is_created_later "${folder##*/}"; then folders=yes; fi
  done
  [ "$folders" ] || return 1
  # Not in a subshell: a lock that the killed server left names process 1, and only its parent may have that number.
  answer=$(mktemp)
  postgres --single -D "$data" postgres >"$answer" 2>&1 <<SQL || true
select 'databases: ' || count(*) from pg_database where datname = '$POSTGRES_DB'
SQL
  databases=unknown
  while read -r line; do
    case $line in
      *'"databases: 0"'*) databases=0 ;;
      *'"databases: 1"'*) databases=1 ;;
    esac
  done <"$answer"
  if [ "$databases" = unknown ]; then
    say "cannot tell whether $data has the database $POSTGRES_DB, and leaves it as it is:"
    cat "$answer"
  fi
  rm -f "$answer"
  [ "$databases" != 0 ]
}

# Whether making the data was cut short, so early that there is nothing in them yet.
is_half_made() {
  if [ ! -s "$data/PG_VERSION" ]; then
    # initdb makes empty folders before it writes that file; anything more is not initdb's.
    [ -z "$(find "$data" ! -type d -size +0c)" ]
    return
  fi
  if may_hold_something; then return 1; fi
  ! { lets_clients_in && has_database; }
}

# No server runs in this pod yet. One that was killed has left its lock, and the number in it may be another process's now.
rm -f /var/run/postgresql/.s.PGSQL.*

is_empty() { [ ! -e "$data" ] || [ -z "$(ls -A "$data")" ]; }

if [ -e "$data" ] && ! find "$data/" >/dev/null; then
  say "cannot read all of $data, and leaves it as it is"
  exit 0
fi
if ! is_empty && is_half_made; then
  # Not deleted, should this ever be mistaken. One is enough: there is no table in it.
  rm -rf "$aside"
  mv "$data" "$aside"
  say "a first start was cut short: $data had no table and no database $POSTGRES_DB that clients reach. It is $aside now, which can be deleted; the database is made anew"
fi
if ! is_empty; then
  if [ ! -s "$data/PG_VERSION" ]; then say "$data holds files that are not PostgreSQL's; they are left as they are"; fi
  exit 0
fi

if ! command -v docker-ensure-initdb.sh >/dev/null; then
  say "this image has no docker-ensure-initdb.sh; its entry point makes the database. If it is killed meanwhile, delete the pod"
  exit 0
fi
# All or nothing: only complete data get the name under which the server looks for them. The program is the image's own,
# for this purpose; after it, what it has added to pg_hba.conf is not on the disk yet.
rm -rf "$unfinished"
PGDATA=$unfinished docker-ensure-initdb.sh
initdb --sync-only --pgdata="$unfinished"
if [ -d "$data" ]; then rmdir "$data"; fi
mv "$unfinished" "$data"
say "made the database $POSTGRES_DB"
