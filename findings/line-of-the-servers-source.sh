#!/usr/bin/env bash
# sqlx 0.9.0 (crates.io), PostgreSQL 16.2 as packaged in pgserver 0.1.4 (PyPI)
#
# The text of a PostgreSQL error in sqlx ends with "at line N". N is neither a line of the statement nor one of any file of
# the user's: it is the line of PostgreSQL's own C source that reported the error, which the server sends for its
# developers. The place in the statement is another field, and is not in the text. So the text of one and the same mistake
# changes with the version of the server.
#
# Why it matters: a log that says "no pg_hba.conf entry … no encryption at line 548" sends its reader to line 548 of a file
# that has three lines. order-food logs the server's message with its SQLSTATE instead.
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
mkdir "$folder/server" "$folder/program" "$folder/program/src"
[ ${#as[@]} -eq 0 ] || chown nobody "$folder/server"
stop() {
  "${as[@]}" "$bin/pg_ctl" -D "$folder/server/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$folder"
}
trap stop EXIT

cd "$folder/program"
cat >Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"
[dependencies]
sqlx = { version = "=0.9.0", default-features = false, features = ["postgres", "runtime-tokio"] }
tokio = { version = "1", features = ["macros", "rt"] }
TOML
cat >src/main.rs <<'RUST'
use sqlx::{Connection, PgConnection, postgres::{PgConnectOptions, PgDatabaseError}, ConnectOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = std::env::args().nth(1).unwrap();
    let options = PgConnectOptions::new().socket(folder).username("shop").database("postgres");
    let mut connection: PgConnection = options.connect().await.unwrap();
    let error = sqlx::query("select 1 / 0").execute(&mut connection).await.unwrap_err();
    connection.close().await.unwrap();
    let text = error.to_string();
    let error = error.into_database_error().unwrap();
    let error: &PgDatabaseError = error.downcast_ref();
    println!("a statement of one line: {text}");
    println!("that line is in {:?}, in the routine {:?}", error.file(), error.routine());
    let line = error.line().unwrap();
    assert!(line > 1 && text.ends_with(&format!("at line {line}")), "the text has changed");
    assert_eq!(error.file(), Some("int.c"));
}
RUST
cargo build --quiet
cd "$folder/server"
"${as[@]}" "$bin/initdb" -D data -U shop -A trust --no-sync >/dev/null
"${as[@]}" "$bin/pg_ctl" -D data -l log -w -o "-k $folder/server -c listen_addresses=" start >/dev/null
"$folder/program/target/debug/finding" "$folder/server"
