# Whether clients can work: the shop's database answers the shop's user, who gives the password.
# At the pod's own address, from which clients are answered too: pg_hba.conf has other lines for 127.0.0.1. That is also
# why a server that is still being set up, on its socket only, is not taken for ready.
# shellcheck disable=SC2046 # Each address a word.
set -- $(hostname -i 2>/dev/null)
read -r PGPASSWORD <"$POSTGRES_PASSWORD_FILE" || [ "$PGPASSWORD" ] || exit
export PGPASSWORD PGCONNECT_TIMEOUT=3
said=$(psql --no-psqlrc --no-password --quiet --tuples-only --host="${1:-127.0.0.1}" --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --command='select 1' 2>&1) && exit
code=$?
printf '%s\n' "$said"
case $said in
  *'does not exist'* | *'no pg_hba.conf entry'*)
    echo "If the first start of this PostgreSQL was cut short, delete the pod: the next one looks at its data first." ;;
esac
exit "$code"
