"""Backups of a database that is in use, and what comes out of them."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from shop import REPOSITORY, Api, ask, wait_until

PSQL = f"{os.environ['TEST_POSTGRES_BIN']}/psql"
# pg_dump must not be older than the server.
PATH = f"{os.environ['TEST_POSTGRES_BIN']}:{os.environ['PATH']}"


def script(name: str, database_url: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess:
    """backup.sh or restore.sh."""
    environment = {"PATH": PATH, "DATABASE_URL": database_url, **environment}
    return subprocess.run([REPOSITORY / "scripts" / name, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=60)


def works(name: str, database_url: str, *arguments: object) -> str:
    """The same, and it must succeed."""
    done = script(name, database_url, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refuses(name: str, database_url: str, *arguments: object) -> str:
    """What it says where it must not succeed: one line of its own."""
    done = script(name, database_url, *arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith(f"{name}: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def at_postgres(url: str, statement: str) -> str:
    """The result of a statement."""
    return subprocess.run([PSQL, "-XAtq", url, "-c", statement], check=True, capture_output=True, text=True).stdout.strip()


class Engine:
    """A kind of database, with one that the shop uses and others to restore into."""

    def __init__(self, folder: Path, url: str, empty: str) -> None:
        self.folder, self.url, self.empty = folder, url, empty


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """Both, in turn."""
    if request.param == "sqlite":
        return Engine(tmp_path, f"sqlite://{tmp_path}/shop's.db", f"sqlite://{tmp_path}/other.db")
    return Engine(tmp_path, request.getfixturevalue("postgres"), request.getfixturevalue("empty_postgres_2"))


@contextmanager
def serving(folder: Path, url: str) -> Iterator[Api]:
    """An API on a database."""
    running = Api(folder, url)
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def orders_coming_in(api: Api) -> Iterator[list[str]]:
    """Clients that order all the time; the ids of what was placed."""
    placed: list[str] = []
    over = threading.Event()
    # A bound of its own, whatever becomes of the test.
    until = time.monotonic() + 60

    def client() -> None:
        while not over.is_set() and time.monotonic() < until:
            answer = api.order(str(uuid.uuid4()))
            assert answer.status == 200, answer
            placed.append(json.loads(answer.body)["id"])

    threads = [threading.Thread(target=client) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(placed) > 20, 20, "orders come in")
    yield placed
    over.set()
    for thread in threads:
        thread.join()


def test_orders_and_keys_outlive_the_database(engine: Engine) -> None:
    backup = engine.folder / "backup"
    with serving(engine.folder, engine.url) as api:
        first = {key: api.order(key) for key in (f"key-{number}" for number in range(20))}
        with orders_coming_in(api) as placed:
            before = list(placed)
            assert "backup.sh: " in works("backup.sh", engine.url, backup)
            done_at = len(placed)
            wait_until(lambda: len(placed) > done_at, 10, "the shop goes on")
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert sorted(file.name for file in engine.folder.iterdir() if ".part." in file.name) == []

    works("restore.sh", engine.empty, backup)
    with serving(engine.folder, engine.empty) as restored:
        for key, answer in first.items():
            again = restored.order(key)
            assert again.body == answer.body and again.headers["idempotent-replayed"] == "true"
            assert ask(f"{restored.url}/api/order/{json.loads(answer.body)['id']}", X_API_Key="apitest").status == 200
        for order in before:
            assert ask(f"{restored.url}/api/order/{order}", X_API_Key="apitest").status == 200
        assert restored.order("new").status == 200


def test_a_database_with_orders_is_replaced_only_if_told(engine: Engine) -> None:
    backup = engine.folder / "backup"
    with serving(engine.folder, engine.url) as api:
        kept = json.loads(api.order("kept").body)["id"]
        works("backup.sh", engine.url, backup)
        lost = json.loads(api.order("lost").body)["id"]
        said = refuses("restore.sh", engine.url, "--overwrite", backup)
        assert "stop the API" in said, "it must not pull the database from under an API"
        assert ask(f"{api.url}/api/order/{lost}", X_API_Key="apitest").status == 200
    # Three of the demo data, and these two.
    assert "the database has 5 orders; with --overwrite they are lost" in refuses("restore.sh", engine.url, backup)
    assert "4 orders from" in works("restore.sh", engine.url, "--overwrite", backup)
    with serving(engine.folder, engine.url) as api:
        found = {order: ask(f"{api.url}/api/order/{order}", X_API_Key="apitest").status for order in (kept, lost)}
    assert found == {kept: 200, lost: 404}


def test_the_owner_of_a_database_may_restore(postgres: str, tmp_path: Path) -> None:
    """Who sees of other roles' connections only that they are there."""
    backup, server = tmp_path / "backup", urlsplit(os.environ["TEST_POSTGRES_URL"])
    role = f"owner_{uuid.uuid4().hex[:8]}"
    database = f"{role}_shop"
    at_postgres(server.geturl(), f"create role {role} login")
    at_postgres(server.geturl(), f"create database {database} owner {role}")
    url = urlunsplit(server._replace(netloc=f"{role}@{server.hostname}:{server.port}", path=f"/{database}"))
    works("backup.sh", postgres, backup)
    with subprocess.Popen([PSQL, "-XAtq", urlunsplit(server._replace(path=f"/{database}"))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as somebody:
        somebody.stdin.write("select 'connected';\n")
        somebody.stdin.flush()
        assert somebody.stdout.readline() == "connected\n"
        assert "1 connections are open" in refuses("restore.sh", url, backup)
        somebody.stdin.close()
    assert "3 orders from" in works("restore.sh", url, backup)
    with serving(tmp_path, url) as api:
        assert api.order("new").status == 200
    at_postgres(server.geturl(), f"drop database {database} with (force)")
    at_postgres(server.geturl(), f"drop role {role}")


def test_newer_client_tools_restore_into_an_older_server(postgres: str, empty_postgres_2: str, tmp_path: Path) -> None:
    """pg_restore 17 begins with a setting that servers before 17 do not know. Data that looks like it stays."""
    setting = "SET transaction_timeout = 0;"
    at_postgres(postgres, f"create table note (line text); insert into note values ('{setting}')")
    works("backup.sh", postgres, tmp_path / "backup")
    newer = tmp_path / "pg_restore"
    newer.write_text(f'#!/bin/sh\nset -e\n{os.environ["TEST_POSTGRES_BIN"]}/pg_restore "$@" | sed "/^SET idle_in_/a {setting}" | tee "$0.wrote"\n')
    newer.chmod(0o755)
    done = script("restore.sh", empty_postgres_2, tmp_path / "backup", PATH=f"{tmp_path}:{PATH}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "pg_restore.wrote").read_text().count(f"\n{setting}\n") == 2, "the head's, and the note"
    assert at_postgres(empty_postgres_2, "select line from note") == setting
    # A server that knows it has it off.
    known = "transaction_timeout = 0" in at_postgres(empty_postgres_2, "select name || ' = ' || setting from pg_settings")
    assert known == (int(at_postgres(empty_postgres_2, "show server_version_num")) >= 170000)


def test_a_damaged_backup_changes_nothing(engine: Engine) -> None:
    backup, cut = engine.folder / "backup", engine.folder / "cut"
    with serving(engine.folder, engine.url) as api:
        order = json.loads(api.order("kept").body)["id"]
    works("backup.sh", engine.url, backup)
    cut.write_bytes(backup.read_bytes()[: backup.stat().st_size * 2 // 3])
    refuses("restore.sh", engine.url, "--overwrite", cut)
    (engine.folder / "text").write_text("not a backup")
    assert "is not a backup of" in refuses("restore.sh", engine.url, "--overwrite", engine.folder / "text")
    with serving(engine.folder, engine.url) as api:
        assert ask(f"{api.url}/api/order/{order}", X_API_Key="apitest").status == 200


def test_a_backup_is_never_overwritten(engine: Engine) -> None:
    with serving(engine.folder, engine.url):
        pass
    backup = engine.folder / "backup"
    backup.write_text("yesterday's")
    assert "is there already" in refuses("backup.sh", engine.url, backup)
    assert backup.read_text() == "yesterday's"


def test_a_backup_that_takes_too_long_leaves_nothing(postgres: str, tmp_path: Path) -> None:
    holder = subprocess.Popen([PSQL, "-XAtq", postgres], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    holder.stdin.write("begin; lock table orders in access exclusive mode; select 'held';\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "held\n"
    try:
        assert "not dumped within 1 s" in refuses("backup.sh", postgres, "--deadline", 1, tmp_path / "backup")
        stopped = subprocess.Popen([REPOSITORY / "scripts/backup.sh", tmp_path / "backup"], env={"PATH": PATH, "DATABASE_URL": postgres})
        wait_until(lambda: at_postgres(postgres, "select count(*) from pg_locks where not granted") == "1", 10, "the dump waits")
        # As Ctrl-C in a terminal: the script, and what it started.
        for child in Path(f"/proc/{stopped.pid}/task/{stopped.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGTERM)
        os.kill(stopped.pid, signal.SIGTERM)
        assert stopped.wait(20) in (1, 143)
    finally:
        holder.stdin.close()
        holder.wait(10)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def pod(postgres: str, tmp_path: Path) -> dict[str, str]:
    """The environment of an operator: kubectl reaches the server's pod, and the programs beside it are too old for all."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("pg_dump", "pg_restore", "psql"):
        (folder / name).write_text("#!/bin/sh\necho 'the wrong one' >&2\nexit 1\n")
    server = urlsplit(postgres)
    inside = f"PATH='{PATH}' PGHOST={server.hostname} PGPORT={server.port} POSTGRES_USER={server.username} POSTGRES_DB=\"$SHOP_DATABASE\""
    (folder / "kubectl").write_text(
        f'#!/bin/sh\nwords=\nwhile [ "$1" != -- ]; do words="$words $1"; shift; done; shift\necho "$words" >>{folder}/calls\n'
        f'case "$BROKEN $*" in yes*pg_dump*) exec head -c 2000 {folder}/whole ;; esac\n[ -z "$GONE" ] || exit 1\nexec env -u DATABASE_URL {inside} "$@"\n'
    )
    for file in folder.iterdir():
        file.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "SHOP_DATABASE": server.path[1:], "DATABASE_URL": ""}


def test_the_servers_pod_has_the_programs(postgres: str, empty_postgres_2: str, pod: dict[str, str], tmp_path: Path) -> None:
    backup, there = tmp_path / "backup", ("--pod", "order-food-postgresql-0", "--namespace", "shop")
    with serving(tmp_path, postgres) as api:
        order = json.loads(api.order("kept").body)["id"]
        done = script("backup.sh", "", *there, backup, **pod)
        assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    other = {**pod, "SHOP_DATABASE": urlsplit(empty_postgres_2).path[1:]}
    done = script("restore.sh", "", *there, backup, **other)
    assert done.returncode == 0 and "4 orders from" in done.stdout, done.stderr
    done = script("restore.sh", "", *there, backup, **other)
    assert done.returncode == 1 and "the database has 4 orders; with --overwrite they are lost" in done.stderr
    with serving(tmp_path, empty_postgres_2) as api:
        assert ask(f"{api.url}/api/order/{order}", X_API_Key="apitest").status == 200
        done = script("restore.sh", "", *there, "--overwrite", backup, **other)
        assert done.returncode == 1 and "connections are open" in done.stderr
    calls = set((tmp_path / "tools/calls").read_text().splitlines())
    assert calls == {" --namespace shop exec --stdin order-food-postgresql-0"}


def test_a_stream_from_the_pod_that_breaks_off_leaves_everything(postgres: str, pod: dict[str, str], tmp_path: Path) -> None:
    backup, whole, there = tmp_path / "backup", tmp_path / "tools/whole", ("--pod", "order-food-postgresql-0")
    works("backup.sh", postgres, whole)
    for fault in ("BROKEN", "GONE"):
        done = script("backup.sh", "", *there, backup, **pod, **{fault: "yes"})
        assert done.returncode == 1 and "nothing was written" in done.stderr
        assert [file.name for file in tmp_path.iterdir()] == ["tools"]
    backup.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    done = script("restore.sh", "", *there, "--overwrite", backup, **pod)
    assert done.returncode == 1 and "the database is as it was" in done.stderr
    assert at_postgres(postgres, "select count(*) from orders") == "3"


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("pg_dump: error: aborting because of server version mismatch\npg_dump: detail: server version: 17.2; pg_dump version: 15.18 (Debian)", ("15", "17")),
        ("pg_dump: server version: 16.4 (Debian); pg_dump version: 13.9\npg_dump: error: aborting because of server version mismatch", ("13", "16")),
        ("pg_dump: detail: server version: 18beta1; pg_dump version: 17.6", ("17", "18")),
    ],
)
def test_a_pg_dump_older_than_the_server_is_named(said: str, says: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "pg_dump").write_text(f'#!/bin/sh\necho "{said}" >&2\nexit 1\n')
    (tmp_path / "pg_dump").chmod(0o755)
    done = script("backup.sh", "postgres://db.example/shop", tmp_path / "backup", PATH=f"{tmp_path}:{PATH}")
    old, new = says
    assert done.returncode == 1
    assert done.stderr.startswith(f"backup.sh: pg_dump is that of PostgreSQL {old}, older than the server's {new}: install postgresql-client-{new} ")
    assert "--pod" in done.stderr and done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("backup*"))


@pytest.mark.parametrize("version", ["1.15", "1.16", "2.0"])
def test_a_pg_restore_older_than_the_backup_is_named(version: str, postgres: str, tmp_path: Path) -> None:
    (tmp_path / "pg_restore").write_text(f'#!/bin/sh\n[ "$1" != --version ] || exec echo "pg_restore (PostgreSQL) 13.9"\necho "pg_restore: error: unsupported version ({version}) in file header" >&2\nexit 1\n')
    (tmp_path / "pg_restore").chmod(0o755)
    (tmp_path / "backup").write_text("PGDMP")
    done = script("restore.sh", postgres, "--overwrite", tmp_path / "backup", PATH=f"{tmp_path}:{PATH}")
    assert done.returncode == 1
    assert done.stderr.startswith("restore.sh: pg_restore (PostgreSQL) 13.9 is older than the pg_dump that wrote ") and "--pod" in done.stderr
    assert at_postgres(postgres, "select count(*) from orders") == "3"


def test_no_password_is_shown(tmp_path: Path) -> None:
    """Other users of a machine see the arguments of its processes."""
    (tmp_path / "pg_dump").write_text('#!/bin/sh\nprintf "%s\\n" "$PGPASSWORD" "$@" >"$0.called"\nexit 1\n')
    (tmp_path / "pg_dump").chmod(0o755)
    url = "postgres://shop:s%40cret%2F1@db.example:5432/order_food?sslmode=require"
    done = script("backup.sh", url, tmp_path / "backup", PATH=f"{tmp_path}:{PATH}")
    assert done.returncode == 1 and "s%40cret" not in done.stderr
    password, connection, *_ = (tmp_path / "pg_dump.called").read_text().splitlines()
    assert password == "s@cret/1"
    assert connection == "--dbname=postgres://shop@db.example:5432/order_food?sslmode=require"


@pytest.mark.parametrize("name", ["backup.sh", "restore.sh"])
def test_says_what_is_wrong(name: str, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    if name == "restore.sh":
        backup.write_text("PGDMP")
    for url, says in (("", "DATABASE_URL is not set"), ("mysql://x", "must start with postgres://")):
        done = script(name, url, backup)
        assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1
    done = script(name, "sqlite://x.db", "--deadline", "soon", backup)
    assert done.returncode == 2 and "--deadline takes seconds" in done.stderr
