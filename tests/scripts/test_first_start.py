"""The first start of the chart's PostgreSQL, killed at every step, and what its probes test. Needs root."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from machine import render, wait_until
from postgres_pod import AS_POSTGRES, BIN, Pod, expanded
from shell import REPOSITORY

# Each with whether the shop's database is complete after it.
STEPS = {
    "folder": False, "folders": False, "initdb:PG_VERSION": False, "initdb:global/pg_control": False, "initdb:base/5": False, "initdb": False,
    "pg_hba": False, "server": False, "creating": False, "created": True, "stopped": True,
}


@pytest.fixture(scope="session")
def objects() -> list[dict]:
    return render({})


@pytest.fixture(scope="session")
def initdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What initdb makes for the shop's user."""
    folder = tmp_path_factory.mktemp("initdb")
    # Other users must get there.
    for each in (folder, *folder.parents[:2]):
        each.chmod(0o755)
    shutil.chown(folder, "postgres", "postgres")
    (folder / "password").write_text("demo-password")
    made = [BIN / "initdb", "--no-sync", "--username=order_food", f"--pwfile={folder}/password", "-D", folder / "data"]
    subprocess.run([*AS_POSTGRES, *made], check=True, capture_output=True, cwd="/")
    return folder / "data"


@pytest.fixture
def pod(tmp_path: Path, initdb: Path, objects: list[dict]) -> Iterator[Callable[..., Pod]]:
    """Makes a pod of the official image, or of one that is not known."""
    made = []
    for each in (tmp_path, *tmp_path.parents[:2]):
        each.chmod(0o755)

    def make(official: bool = True) -> Pod:
        folder = tmp_path / f"pod-{len(made)}"
        folder.mkdir()
        made.append(Pod(folder, initdb, objects, official))
        return made[-1]

    yield make
    for each in made:
        each.kill()


def serves(pod: Pod) -> None:
    """Whether the next start of the pod ends with a shop's database for clients, and with nothing else in the way."""
    pod.prepare()
    pod.serve()
    pod.up()
    ready = pod.probe("readinessProbe")
    assert ready.returncode == 0, ready.stdout + ready.stderr + pod.log.read_text()
    assert pod.sql("select count(*) from pg_database where datname = 'order_food'") == "1"


def test_the_database_is_made_before_the_server_starts(pod: Callable[..., Pod]) -> None:
    shop = pod()
    assert "made the database order_food" in shop.prepare()
    assert [each.name for each in shop.volume.iterdir()] == ["pgdata"], "nothing unfinished is left"
    # A second time, as after a restart of the node: nothing to do, and nothing to say.
    assert shop.prepare() == ""
    serves(shop)
    assert shop.probe("livenessProbe").returncode == 0


@pytest.mark.parametrize("step", STEPS)
def test_it_is_all_or_nothing(pod: Callable[..., Pod], step: str) -> None:
    shop = pod()
    shop.prepare(stop_at=step)
    assert not shop.data.exists(), "a server would take it for complete"
    serves(shop)
    assert [each.name for each in shop.volume.iterdir()] == ["pgdata"]


@pytest.mark.parametrize(
    ("official", "step"), [*((True, step) for step in STEPS), *((False, step) for step in ("folders", "initdb:base/5", "pg_hba", "creating", "created"))]
)
def test_a_first_start_that_was_cut_short_begins_anew(pod: Callable[..., Pod], official: bool, step: str) -> None:
    """Where the entry point makes the database: after an older chart, which had nothing before it, or in an image without the program."""
    shop = pod(official)
    if not official:
        assert "its entry point makes the database" in shop.prepare()
    shop.serve(stop_at=step)
    # An empty folder is as good as none.
    was_there = step != "folder"
    serves(shop)
    assert shop.aside.exists() is (was_there and not STEPS[step])


@pytest.mark.parametrize("left", ["", "\nhost all all all scram-sha"], ids=["all of it", "half of it"])
def test_a_line_that_a_power_cut_took_is_noticed(pod: Callable[..., Pod], initdb: Path, left: str) -> None:
    """The entry point adds it to pg_hba.conf and does not wait for the disk, as it does for the database."""
    shop = pod()
    shop.serve(stop_at="created")
    (shop.data / "pg_hba.conf").write_text((initdb / "pg_hba.conf").read_text() + left)
    serves(shop)
    assert shop.aside.exists()


def test_lines_of_ones_own_are_as_good(pod: Callable[..., Pod]) -> None:
    shop = pod()
    for line in ("hostssl all all 10.0.0.0/8 scram-sha-256\n", "include /etc/more.conf\n"):
        shop.serve(stop_at="created")
        (shop.data / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 trust\n" + line)
        assert shop.prepare() == ""
        assert not shop.aside.exists()
        shutil.rmtree(shop.data)


def test_a_lock_of_a_server_that_was_killed_stops_none(pod: Callable[..., Pod]) -> None:
    """In the same pod, whose folder for sockets stays; process 1 is now the one that prepares."""
    shop = pod()
    shop.serve(stop_at="pg_hba")
    shop.serve()
    shop.up()
    shop.kill()
    assert (shop.run / ".s.PGSQL.5432.lock").read_text().startswith("1\n")
    assert "made the database order_food" in shop.prepare()


def test_only_one_is_put_aside(pod: Callable[..., Pod]) -> None:
    shop = pod(official=False)
    for step in ("pg_hba", "server"):
        shop.serve(stop_at=step)
        assert "a first start was cut short" in shop.prepare()
    assert [each.name for each in shop.volume.iterdir()] == ["pgdata.half-made"]
    assert (shop.aside / "PG_VERSION").exists() and not (shop.aside / "pgdata").exists()


def complete(shop: Pod) -> None:
    """A shop's data as an older chart has them, with an order."""
    shop.serve()
    shop.up()
    shop.sql("create table orders (id int); insert into orders values (42)")


# What was done to data that are a shop's, or somebody's; none of it is a reason to take them away.
MISUSED = {
    "nothing": lambda shop: None,
    "pg_hba.conf was edited": lambda shop: (shop.data / "pg_hba.conf").write_text("local all all trust\n"),
    "pg_hba.conf is gone": lambda shop: (shop.data / "pg_hba.conf").unlink(),
    "pg_control is gone": lambda shop: (shop.data / "global/pg_control").unlink(),
    "the catalogue is damaged": lambda shop: (shop.data / "global/1262").write_bytes(b""),
}


@pytest.mark.parametrize("damage", MISUSED)
def test_data_with_a_table_are_left_alone(pod: Callable[..., Pod], damage: str) -> None:
    shop = pod()
    complete(shop)
    shop.kill()
    MISUSED[damage](shop)
    before = snapshot(shop)
    assert shop.prepare() == ""
    assert snapshot(shop) == before
    if damage == "nothing":
        serves(shop)
        assert shop.sql("select id from orders") == "42"


# Statements after which the shop's database is gone, and a table is in another one.
ELSEWHERE = {
    "former": ("alter database order_food rename to former", "create table orders (id int)"),
    "postgres": ("drop database order_food", "create table notes (id int)"),
}


@pytest.mark.parametrize("database", ELSEWHERE)
def test_tables_in_another_database_are_left_alone(pod: Callable[..., Pod], database: str) -> None:
    shop = pod()
    shop.serve()
    shop.up()
    away, table = ELSEWHERE[database]
    shop.sql(away, "postgres")
    shop.sql(table, database)
    shop.kill()
    before = snapshot(shop)
    assert shop.prepare() == ""
    assert snapshot(shop) == before


def test_a_complete_database_without_tables_is_left_alone(pod: Callable[..., Pod]) -> None:
    """Whoever waits for the migration may have made users already. Killed, so that its lock names process 1."""
    shop = pod()
    shop.serve()
    shop.up()
    shop.sql("create role reporting")
    shop.kill()
    assert (shop.data / "postmaster.pid").read_text().startswith("1\n")
    assert shop.prepare() == ""
    assert not shop.aside.exists()
    serves(shop)
    assert shop.sql("select count(*) from pg_roles where rolname = 'reporting'") == "1"


def test_a_server_that_cannot_be_asked_loses_nothing(pod: Callable[..., Pod]) -> None:
    """As where the user has no name, which the server wants without a network."""
    shop = pod()
    shop.serve(stop_at="stopped")
    (shop.tools / "postgres").write_text("#!/bin/sh\necho 'user does not exist' >&2\nexit 1\n")
    (shop.tools / "postgres").chmod(0o755)
    before = snapshot(shop)
    said = shop.prepare()
    assert "cannot tell" in said and "user does not exist" in said
    assert snapshot(shop) == before


@pytest.mark.parametrize("file", ["backup_label", "standby.signal", "recovery.signal", "pg_tblspc/16999"])
def test_a_backup_that_is_not_restored_yet_is_left_alone(pod: Callable[..., Pod], file: str) -> None:
    shop = pod()
    shop.serve(stop_at="pg_hba")
    (shop.data / file).symlink_to("/nowhere") if "/" in file else (shop.data / file).touch()
    before = snapshot(shop)
    assert shop.prepare() == ""
    assert snapshot(shop) == before


def test_foreign_files_are_left_alone(pod: Callable[..., Pod]) -> None:
    shop = pod()
    shop.data.mkdir()
    (shop.data / "photos.zip").write_text("mine")
    before = snapshot(shop)
    assert "holds files that are not PostgreSQL's" in shop.prepare()
    assert snapshot(shop) == before


@pytest.mark.parametrize("folder", ["", "base", "base/1"])
def test_what_cannot_be_read_is_left_alone(pod: Callable[..., Pod], folder: str) -> None:
    shop = pod()
    shop.serve(stop_at="pg_hba")
    shutil.chown(shop.data / folder, "root", "root")
    (shop.data / folder).chmod(0o700)
    before = snapshot(shop)
    assert "cannot read all of" in shop.prepare()
    assert snapshot(shop) == before


def snapshot(shop: Pod) -> dict[str, bytes]:
    """Every file of the volume."""
    return {str(each.relative_to(shop.volume)): each.read_bytes() for each in sorted(shop.volume.rglob("*")) if each.is_file()}


# What the probes test.


def test_a_server_that_is_being_set_up_is_not_up(pod: Callable[..., Pod]) -> None:
    shop = pod(official=False)
    shop.start([str(shop.entrypoint)], shop.environment(shop.server, STOP_AT="created"))
    wait_until(shop.reached.exists, 20, "the database is made")
    assert shop.sql("select 1") == "1", "it answers on its socket"
    for name in ("startupProbe", "readinessProbe"):
        assert shop.probe(name).returncode != 0, name


@pytest.mark.parametrize(("step", "says"), [("initdb", "no pg_hba.conf entry"), ("pg_hba", 'database "order_food" does not exist'), ("creating", 'database "order_food" does not exist')])
def test_a_server_without_the_shops_database_is_not_ready(pod: Callable[..., Pod], step: str, says: str) -> None:
    """What an older chart called ready. The probe says what is wrong, and what to do."""
    shop = pod()
    shop.serve(stop_at=step)
    shop.serve()
    shop.up()
    ready = shop.probe("readinessProbe")
    assert ready.returncode != 0
    assert says in ready.stdout
    assert "delete the pod" in ready.stdout
    # To start it again would not help.
    assert shop.probe("livenessProbe").returncode == 0
    shop.kill()
    serves(shop)


def test_clients_from_outside_are_let_in_or_it_is_not_ready(pod: Callable[..., Pod]) -> None:
    """From 127.0.0.1 the database answers, whatever becomes of others."""
    shop = pod()
    complete(shop)
    text = (shop.data / "pg_hba.conf").read_text()
    (shop.data / "pg_hba.conf").write_text(text.replace("host all all all", "# host all all all"))
    shop.sql("select pg_reload_conf()")
    assert shop.execute("psql", "-h", "127.0.0.1", "-U", "order_food", "-c", "select 1", "order_food").returncode == 0
    wait_until(lambda: shop.probe("readinessProbe").returncode != 0, 5, "it is noticed")
    assert "no pg_hba.conf entry" in shop.probe("readinessProbe").stdout


def test_another_password_is_not_ready(pod: Callable[..., Pod]) -> None:
    shop = pod()
    complete(shop)
    assert shop.probe("readinessProbe").returncode == 0
    shop.password.write_text("another")
    ready = shop.probe("readinessProbe")
    assert ready.returncode != 0
    assert "password authentication failed" in ready.stdout
    assert "delete the pod" not in ready.stdout, "it would not help"


@pytest.mark.parametrize(("answer", "is_alive"), [(0, True), (1, True), (2, False), (3, False)])
def test_a_server_that_recovers_is_not_killed(pod: Callable[..., Pod], answer: int, is_alive: bool) -> None:
    """pg_isready: 1 is a server that lets nobody in yet, 2 is no answer."""
    shop = pod()
    complete(shop)
    (shop.tools / "pg_isready").write_text(f"#!/bin/sh\nexit {answer}\n")
    (shop.tools / "pg_isready").chmod(0o755)
    for name in ("startupProbe", "livenessProbe"):
        assert (shop.probe(name).returncode == 0) is is_alive


def test_a_server_that_is_gone_is_not_alive(pod: Callable[..., Pod]) -> None:
    shop = pod()
    shop.start(["sleep", "600"], shop.environment(shop.server))
    wait_until(lambda: "sleep" in Path(f"/proc/{shop.process_1()}/cmdline").read_text(), 5, "it runs")
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert shop.probe(name).returncode != 0


def test_kubernetes_leaves_the_scripts_as_they_are(objects: list[dict]) -> None:
    [spec] = [each["spec"]["template"]["spec"] for each in objects if each["kind"] == "StatefulSet"]
    [prepare], [server] = spec["initContainers"], spec["containers"]
    names = {each["name"]: each["value"] for each in server["env"]}
    assert expanded("$(PGDATA) $$ $(date)", names) == f"{names['PGDATA']} $ $(date)"
    files = REPOSITORY / "helm/order-food/files/postgresql"
    assert expanded(prepare["args"][0], names) == (files / "prepare.sh").read_text()
    assert expanded(server["readinessProbe"]["exec"]["command"][-1], names) == (files / "ready.sh").read_text()


# docker-compose.yml has the same image, and its entry point makes the database.


def test_compose_asks_the_shops_database_too(pod: Callable[..., Pod]) -> None:
    service = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]["postgres"]
    kind, command = service["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    # Compose makes one dollar of two, and takes a single one for a variable of its own.
    assert not re.search(r"(?<!\$)(\$\$)*\$(?!\$)", command)
    command = command.replace("$$", "$")
    shop = pod()
    shop.serve(stop_at="pg_hba")
    shop.serve()
    shop.up()
    given = {"POSTGRES_USER": service["environment"]["POSTGRES_USER"], "POSTGRES_DB": service["environment"]["POSTGRES_DB"], "POSTGRES_PASSWORD": "demo-password"}
    assert given["POSTGRES_DB"] == "order_food"
    shop.sql("create role shop login superuser password 'demo-password'", "postgres")

    def health() -> subprocess.CompletedProcess:
        return shop.execute("sh", "-c", command, **given)

    missing = health()
    assert missing.returncode != 0 and 'database "order_food" does not exist' in missing.stdout + missing.stderr
    shop.sql("create database order_food", "postgres")
    assert health().returncode == 0, health().stderr
    given["POSTGRES_PASSWORD"] = "another"
    assert health().returncode != 0
