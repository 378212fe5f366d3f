"""A stack, and an API that it watches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fire-all", action="store_true", help="make every alert of the application fire, which takes minutes")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the stack keeps what it writes."""
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="session")
def stack(folder: Path) -> Iterator:
    """Prometheus and Alertmanager, which have nothing to scrape yet."""
    from stack import Stack

    running = Stack(folder)
    yield running
    running.close()


@pytest.fixture(scope="session")
def shop(folder: Path, stack: object) -> Iterator:
    """A process of the API, scraped."""
    from faults import Shop

    running = Shop(folder, "shop")
    stack.scrape(running.api)
    yield running
    running.close()


@pytest.fixture(scope="session")
def metrics(shop: object) -> str:
    """What /metrics says where customers have been."""
    from stack import fetch

    for request in ({}, {"couponCode": "SAVE10"}, {"couponCode": "nobody knows it"}):
        shop.api.order(**request)
    for path in ("/api/product", "/api/order", "/nowhere"):
        shop.api.ask("GET", path)
    return fetch(f"{shop.api.url}/metrics")
