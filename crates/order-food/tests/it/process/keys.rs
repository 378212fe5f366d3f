//! Keys of the command line that could not be written, and names of clients that are spelled in two ways.

use std::io::{self, Write};
use std::process::{Command, Output};

use clap::{FromArgMatches, Subcommand};
use domain::{Pepper, SystemClock};
use order_food::cli::keys::{KeyCommands, KeysCommand, KeysError};
use test_database::{Program, TestDatabase, TestEngine, on_both_engines};

on_both_engines!(
    a_key_that_cannot_be_written_is_not_made,
    a_rotated_key_works_on_until_the_new_one_is_written,
    every_way_of_not_being_written_counts,
    a_revoked_key_is_revoked_also_without_an_answer,
    a_client_is_one_however_it_is_spelled,
);

const USABLE: &str = "select count(*) from api_keys where revoked_at is null and retired_at is null";
const TOLD: &str = "select api_keys from change_counters";

/// `order-food keys …` as a process. A script of the shell opens its stdout; `$0` is a pipe.
fn keys(database: &TestDatabase, stdout: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let program = Program::new("order-food").env("DATABASE_URL", database.url_text());
    let program = program.args(["keys"]).args(arguments.iter().copied());
    program.started_by("/bin/sh", ["-c", &format!("{stdout}; exec \"$@\""), pipe.to_str().unwrap()]).output()
}

const OPEN: &str = "true";
/// A pipe that has lost its reader.
const CLOSED_PIPE: &str = "exec 3<>\"$0\" 4>\"$0\"; exec 3<&- >&4 4>&-";
const FULL_DISK: &str = "exec >/dev/full";

/// The number of a key that is made.
fn made(database: &TestDatabase) -> String {
    let output = keys(database, OPEN, &["create", "--client", "till"]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().next().unwrap().trim_start_matches("created ").to_owned()
}

fn assert_refused(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let message = "order-food: the key could not be written, so it was not made, and nothing was changed: ";
    assert!(said.contains(message) && !said.contains("of_"), "{said}");
}

async fn a_key_that_cannot_be_written_is_not_made(engine: TestEngine) {
    let database = TestDatabase::migrated(engine).await;
    made(&database);
    let before = (database.number(USABLE).await, database.number(TOLD).await);
    for stdout in [CLOSED_PIPE, FULL_DISK] {
        for arguments in [
            &["create", "--client", "till"][..],
            &["create", "--client", "another"],
            &["create", "--client", "another", "--scopes", "admin", "--expires-at", "2099-01-01T00:00:00Z"],
        ] {
            assert_refused(&keys(&database, stdout, arguments));
            assert_eq!((database.number(USABLE).await, database.number(TOLD).await), before, "{stdout}");
        }
    }
    assert_eq!(database.number("select count(*) from api_clients").await, 1, "the client is not made either");
    assert_eq!(database.number("select count(*) from api_keys").await, 1);
    made(&database);
    assert_eq!(database.number(USABLE).await, 2);
}

async fn a_rotated_key_works_on_until_the_new_one_is_written(engine: TestEngine) {
    let database = TestDatabase::migrated(engine).await;
    let id = made(&database);
    let usable = "select cast(id as text) from api_keys where revoked_at is null";
    for stdout in [CLOSED_PIPE, FULL_DISK, CLOSED_PIPE] {
        assert_refused(&keys(&database, stdout, &["rotate", &id]));
        assert_eq!(database.texts(usable).await, [id.as_str()], "{stdout}");
    }
    let output = keys(&database, OPEN, &["rotate", &id]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.starts_with(&format!("revoked {id}\ncreated ")), "{said}");
    assert_ne!(database.texts(usable).await, [id.as_str()]);
    assert_eq!(database.number(USABLE).await, 1);
}

/// Takes so many bytes, and none more; or all of them, and fails at the end.
struct Writer {
    room: usize,
    fails_at_the_end: bool,
    taken: Vec<u8>,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.room);
        if taken == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room -= taken;
        self.taken.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.fails_at_the_end { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }
}

async fn every_way_of_not_being_written_counts(engine: TestEngine) {
    let database = TestDatabase::migrated(engine).await;
    let (url, pepper) = (database.url(), Pepper::new(b""));
    let keys = KeyCommands { url: &url, pepper: &pepper, clock: &SystemClock };
    let run = async |arguments: &[&str], out: &mut Writer| {
        let parser = KeysCommand::augment_subcommands(clap::Command::new("keys"));
        let matches = parser.get_matches_from([&["keys"], arguments].concat());
        keys.run(&KeysCommand::from_arg_matches(&matches).unwrap(), out).await
    };
    let create = ["create", "--client", "till"];
    let writer = |room, fails_at_the_end| Writer { room, fails_at_the_end, taken: Vec::new() };
    let mut open = writer(usize::MAX, false);
    run(&create, &mut open).await.unwrap();
    let said = String::from_utf8(open.taken).unwrap();
    let id = said.lines().next().unwrap().trim_start_matches("created ").to_owned();
    let before =
        database.texts("select cast(id as text) || coalesce(cast(revoked_at as text), '-') from api_keys");
    let before = before.await;
    for (room, fails_at_the_end) in [(0, false), (9, false), (20, false), (usize::MAX, true)] {
        for arguments in [&create[..], &["rotate", &id]] {
            let mut out = writer(room, fails_at_the_end);
            let error = run(arguments, &mut out).await.unwrap_err();
            assert!(matches!(error, KeysError::NotShown(_)), "{room}: {error:?}");
            let after = "select cast(id as text) || coalesce(cast(revoked_at as text), '-') from api_keys";
            assert_eq!(database.texts(after).await, before, "{room} {arguments:?}");
        }
        let mut out = writer(room, fails_at_the_end);
        let listed = run(&["list"], &mut out).await.unwrap_err();
        assert!(matches!(listed, KeysError::Output(_)), "{room}: {listed:?}");
    }
}

async fn a_revoked_key_is_revoked_also_without_an_answer(engine: TestEngine) {
    let database = TestDatabase::migrated(engine).await;
    for stdout in [CLOSED_PIPE, FULL_DISK, CLOSED_PIPE] {
        let id = made(&database);
        let output = keys(&database, stdout, &["revoke", &id]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("the answer could not be written"), "{said}");
        assert_eq!((output.status.code(), database.number(USABLE).await), (Some(1), 0));
    }
}

async fn a_client_is_one_however_it_is_spelled(engine: TestEngine) {
    let database = TestDatabase::migrated(engine).await;
    for (clients, [one, other]) in (1..).zip([
        ["Caf\u{e9}", "Cafe\u{301}"],
        ["\u{212b}l", "\u{c5}l"],
        ["\u{d55c}", "\u{1112}\u{1161}\u{11ab}"],
        ["o\u{302}\u{323}", "\u{1ed9}"],
    ]) {
        for name in [one, other, one] {
            let output = keys(&database, OPEN, &["create", "--client", name]);
            assert!(output.status.success(), "{output:?}");
        }
        assert_eq!(database.number("select count(*) from api_clients").await, clients, "{one}");
        let stored = format!("select count(*) from api_clients where name = '{one}'");
        assert_eq!(database.number(&stored).await, 1, "as it was first written");
    }
    assert_eq!(database.number(USABLE).await, 12);
    keys(&database, OPEN, &["create", "--client", "Cafe"]);
    assert_eq!(database.number("select count(*) from api_clients").await, 5, "other letters");
}

/// PostgreSQL only: what fails at the commit there would have failed earlier in SQLite.
#[tokio::test]
async fn a_key_that_was_shown_and_not_stored_is_told() {
    let database = TestDatabase::migrated(TestEngine::Postgres).await;
    let id = made(&database);
    database
        .execute(
            "create function refuse() returns trigger language plpgsql as $$ begin raise 'not today'; end $$; \
             create constraint trigger refuse after insert on api_keys deferrable initially deferred \
             for each row execute function refuse()",
        )
        .await;
    for arguments in [&["create", "--client", "till"][..], &["create", "--client", "new"], &["rotate", &id]] {
        let output = keys(&database, OPEN, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains(
                "the key that was shown may not work: the database failed; see order-food keys list"
            )
        );
        assert_eq!(
            database.texts("select cast(id as text) from api_keys where revoked_at is null").await,
            [id.as_str()]
        );
    }
}
