"""Databases and APIs for the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from shop import Api, program

# The stand-ins that scripts for operators are tested with.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from shell import Shell  # noqa: E402


@contextmanager
def new_database() -> Iterator[str]:
    """The URL of an empty database on the test server."""
    server = urlsplit(os.environ["TEST_POSTGRES_URL"])
    name = f"shop_{uuid.uuid4().hex[:12]}"
    psql = [f"{os.environ['TEST_POSTGRES_BIN']}/psql", "-Xq", os.environ["TEST_POSTGRES_URL"], "-c"]
    subprocess.run([*psql, f"create database {name}"], check=True)
    yield urlunsplit(server._replace(path=f"/{name}"))
    subprocess.run([*psql, f"drop database {name} with (force)"], check=True)


@pytest.fixture
def empty_postgres() -> Iterator[str]:
    """The URL of a new, empty database."""
    with new_database() as url:
        yield url


@pytest.fixture
def empty_postgres_2() -> Iterator[str]:
    """Another one."""
    with new_database() as url:
        yield url


@pytest.fixture
def postgres(empty_postgres: str) -> str:
    """The URL of a new database with tables and data."""
    program("database-migration", DATABASE_URL=empty_postgres)
    program("database-load", DATABASE_URL=empty_postgres)
    return empty_postgres


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API on SQLite, which may be made to panic."""
    folder: Path = tmp_path_factory.mktemp("api")
    running = Api(folder, f"sqlite://{folder}/shop.db", ENABLE_FAULT_INJECTION="true")
    yield running
    running.stop()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A machine with what chaos scripts use, and without the tools of a cluster."""
    machine = Shell(tmp_path)
    for name in ("basename", "comm", "date", "kill", "ps", "seq", "sort", "tail", "wc"):
        (machine.tools / name).symlink_to(shutil.which(name))
    return machine


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--start-compose", action="store_true", help="start docker-compose.yml with podman, which takes two minutes")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Left out, and not skipped, unless asked for."""
    return True if collection_path.name == "test_compose_start.py" and not config.getoption("--start-compose") else None
