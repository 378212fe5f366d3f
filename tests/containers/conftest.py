"""Images, a network, a database; and the results as JSON for the score card."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import REPOSITORY, Database, Nginx, Podman, Postgres, render

# As scripts/score-card.sh reads it.
MEASURED: dict = {"smoke": {"steps": {}}, "images": {}}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A step counts as passed if nothing of it failed, setting up and tidying up included."""
    report = (yield).get_result()
    if item.path.name == "test_pods.py":
        steps = MEASURED["smoke"]["steps"]
        steps[item.name] = steps.get(item.name, True) and report.passed


def pytest_sessionfinish() -> None:
    if not MEASURED["images"] and not MEASURED["smoke"]["steps"]:
        return
    folder = Path(os.environ.get("ORDER_FOOD_SCORES", REPOSITORY / "target/score-card"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "runtime.json").write_text(json.dumps(MEASURED, indent=2) + "\n")


@pytest.fixture(scope="session")
def measured() -> dict:
    """Figures for the score card."""
    return MEASURED


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
