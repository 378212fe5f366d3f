"""Images, a network, a database."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import Database, Nginx, Podman, Postgres, render


@pytest.fixture(scope="session")
def programs() -> Path:
    """The programs that go into the images."""
    return Path(os.environ["ORDER_FOOD_PROGRAMS"])


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """A podman with nothing in it."""
    machine = Podman(Path(tempfile.mkdtemp(prefix="order-food-containers.")))
    yield machine
    machine.close()


@pytest.fixture(scope="session")
def images(podman: Podman, programs: Path) -> dict[str, str]:
    """The ids of the three images, built."""
    return podman.build(programs)


@pytest.fixture(scope="session")
def chart() -> list[dict]:
    """The chart with its defaults."""
    return render({})


@pytest.fixture(scope="session")
def postgres(podman: Podman) -> Postgres:
    """The test server."""
    return Postgres(podman.gateway)


@pytest.fixture
def database(postgres: Postgres) -> Database:
    """A new, empty database."""
    return Database(postgres)


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """A proxy that serves nothing yet."""
    proxy = Nginx(tmp_path)
    yield proxy
    proxy.close()
