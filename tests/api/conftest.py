"""One server of each engine for all tests; they share it and count on nothing that others may have ordered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from server import DOCUMENT, ENGINES, Server


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="many more generated requests, with a new seed")


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """Whether somebody waits for it."""
    return request.config.getoption("--long")


@pytest.fixture(scope="session", params=ENGINES)
def each_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Both engines, one after the other."""
    running = Server(request.param, tmp_path_factory.mktemp(request.param))
    yield running
    running.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Where the engine makes no difference."""
    running = Server("sqlite", tmp_path_factory.mktemp("server"))
    yield running
    running.close()


@pytest.fixture(scope="session")
def document() -> dict:
    """docs/openapi.yaml."""
    return yaml.safe_load(DOCUMENT.read_text())
