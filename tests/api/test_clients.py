"""Clients generated from the document compile, and place an order through a network that loses answers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import guide
import pytest
from http_client import ask
from lossy_proxy import LossyProxy
from server import DOCUMENT, KEY, Server

TOOLS = Path(os.environ["ORDER_FOOD_API_TOOLS"])
EXPECTED = guide.block("text")


@pytest.fixture
def network(tmp_path: Path) -> Iterator[tuple[Server, LossyProxy]]:
    """A server of which all orders are known, behind a bad network."""
    (folder := tmp_path / "server").mkdir()
    server = Server("sqlite", folder)
    proxy = LossyProxy(server)
    yield server, proxy
    proxy.close()
    server.close()


def run(folder: Path, *command: object) -> str:
    environment = {"PATH": f"{TOOLS}/venv/bin:{os.environ['PATH']}", "HOME": str(folder), "PYTHONPATH": str(folder)}
    done = subprocess.run([str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def count_orders(server: Server) -> int:
    return len(ask(server, "GET", "/api/order?limit=100", [("api_key", KEY)]).json)


def assert_orders_once(network: tuple[Server, LossyProxy], folder: Path, *command: object) -> None:
    server, proxy = network
    before = count_orders(server)
    assert run(folder, *command, proxy.url) == EXPECTED
    # The order was sent three times under one key, and the one on no menu once, without.
    first, second, third, last = proxy.keys
    assert first is not None and first == second == third and last is None
    assert count_orders(server) == before + 1


def test_typescript(network: tuple[Server, LossyProxy], tmp_path: Path) -> None:
    folder = tmp_path / "typescript"
    folder.mkdir()
    (folder / "node_modules").symlink_to(TOOLS / "node_modules")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "order.ts").write_text(guide.block("ts"))
    programs = TOOLS / "node_modules" / ".bin"
    run(folder, programs / "openapi-typescript", DOCUMENT, "--output", "api.d.ts")
    run(folder, programs / "tsc", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext", "order.ts")
    assert_orders_once(network, folder, "node", "order.js")


def test_python(network: tuple[Server, LossyProxy], tmp_path: Path) -> None:
    folder = tmp_path / "python"
    folder.mkdir()
    (folder / "order.py").write_text(guide.block("python"))
    programs = TOOLS / "venv" / "bin"
    said = run(folder, programs / "openapi-python-client", "generate", "--path", DOCUMENT, "--meta", "none", "--output-path", "order_food")
    # An operation that the generator does not understand is left out with a warning; of the API there is none.
    warnings = [line for line in said.splitlines() if "WARNING" in line and "/api/" in line]
    assert not warnings, said
    run(folder, programs / "mypy", "--strict", "--follow-imports", "silent", "--cache-dir", folder / "cache", "order.py")
    assert_orders_once(network, folder, programs / "python", "order.py")
