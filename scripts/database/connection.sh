# shellcheck shell=bash
# Which database backup.sh and restore.sh work on. Sourced; they have fail() and needs(), and set pod and namespace.
# shellcheck disable=SC2034 # ok: the scripts use what this sets

# connect_to URL: sets engine, and for PostgreSQL connection (an argument without the password, which other users of the
# machine could read) and PGPASSWORD, for SQLite file.
connect_to() {
  local url=$1 credentials password
  case $url in
    sqlite:*)
      engine=sqlite
      file=${url#sqlite:}
      file=${file#//}
      [ -n "$file" ] || code=2 fail "DATABASE_URL names no file; example: sqlite://order-food.db"
      needs sqlite3 "Debian: apt-get install sqlite3"
      ;;
    postgres://* | postgresql://*)
      engine=postgres connection=$url
      credentials=${url#*://}
      credentials=${credentials%%[/?]*}
      if [[ $credentials == *:*@* ]]; then
        credentials=${credentials%@*}
        password=${credentials#*:}
        connection=${url%%://*}://${credentials%%:*}@${url#*"$credentials"@}
        # Percent-decoding.
        printf -v PGPASSWORD '%b' "${password//%/\\x}"
        export PGPASSWORD
      fi
      ;;
    *) code=2 fail "DATABASE_URL must start with postgres://, postgresql:// or sqlite://" ;;
  esac
}

# connect: to the database of the environment, or of the pod. For PostgreSQL sets at_server, what its programs are run
# with, and to_database, which of their arguments names the database.
connect() {
  local url
  at_server=() to_database=()
  if [ -n "$pod" ]; then
    needs kubectl "see https://kubernetes.io/docs/tasks/tools"
    engine=postgres
    # shellcheck disable=SC2016 # ok: the pod's shell expands it
    at_server=(kubectl --namespace "$namespace" exec --stdin "$pod" --
      sh -c 'PGUSER=$POSTGRES_USER PGDATABASE=$POSTGRES_DB exec "$@"' sh)
  else
    url=$(given_url)
    connect_to "$url"
    [ "$engine" = sqlite ] || to_database=(--dbname="$connection")
  fi
}

# The URL of the environment, as the programs take it.
given_url() {
  local url=${DATABASE_URL:-}
  [ -z "${DATABASE_URL_FILE:-}" ] || url=$(<"$DATABASE_URL_FILE")
  [ -n "$url" ] || code=2 fail "DATABASE_URL is not set; example: DATABASE_URL=postgres://shop@db.example:5432/order_food"
  printf '%s' "$url"
}

# In the text of an SQL statement.
quoted() { printf "'%s'" "${1//\'/\'\'}"; }
