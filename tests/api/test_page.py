"""/docs and / in a browser: complete, quick, silent, from this server alone; and an order is placed from the page."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from http_client import ask
from openapi import operations
from server import KEY, REPOSITORY, Server

CHROMIUM = os.environ["ORDER_FOOD_CHROMIUM"]
TOOLS = Path(os.environ["ORDER_FOOD_API_TOOLS"])
PICTURES = REPOSITORY / "target" / "api-pages"
LOAD_MILLISECONDS = 1000


@pytest.fixture(scope="module")
def seen(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What the browser saw."""
    folder = tmp_path_factory.mktemp("page")
    # Modules are looked for beside the file.
    (folder / "page.mjs").write_text(Path(__file__).with_name("page.mjs").read_text())
    (folder / "node_modules").symlink_to(TOOLS / "node_modules")
    PICTURES.mkdir(parents=True, exist_ok=True)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    done = subprocess.run(
        ["node", folder / "page.mjs", CHROMIUM, server.url, PICTURES],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_nothing_is_wrong_and_nobody_else_is_asked(seen: dict, server: Server) -> None:
    assert seen["faults"] == []
    assert seen["hosts"] == [urlsplit(server.url).netloc]


def test_the_page_is_there_at_once(seen: dict) -> None:
    """On a machine with nothing else to do; what it waits for others is not its fault, but is printed."""
    print(f"/docs: {seen['loads']}")
    assert min(load["busyMilliseconds"] for load in seen["loads"]) < LOAD_MILLISECONDS


def test_every_operation_is_on_the_page(seen: dict, document: dict) -> None:
    assert sorted(seen["operations"]) == sorted(operation.partition(" ")[2] for operation, _, _ in operations(document))


def test_an_order_is_placed_from_the_page(seen: dict, server: Server) -> None:
    assert seen["status"] == "200"
    assert seen["answer"]["items"] == seen["body"]["items"]
    stored = ask(server, "GET", f"/api/order/{seen['answer']['id']}", [("api_key", KEY)])
    assert (stored.status, stored.json) == (200, seen["answer"])


def test_the_welcome_leads_on(seen: dict, server: Server) -> None:
    assert "order-food" in seen["welcome"]["title"]
    assert {"/docs", "/openapi.json", "/openapi.yaml"} <= set(seen["welcome"]["links"])
    for link in seen["welcome"]["links"]:
        assert ask(server, "GET", link).status == 200, link
