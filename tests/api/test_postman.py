"""The Postman collection passes, on both engines."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from openapi import operations
from server import REPOSITORY, Server

NEWMAN = Path(os.environ["ORDER_FOOD_API_TOOLS"]) / "node_modules" / ".bin" / "newman"
FOLDER = REPOSITORY / "docs" / "postman"
COLLECTION = FOLDER / "order-food.postman_collection.json"


def requests() -> list[dict]:
    """Every request, whatever folder it is in."""
    folders = json.loads(COLLECTION.read_text())["item"]
    return [request for folder in folders for request in folder["item"]]


def test_the_collection_passes(each_server: Server, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            *(NEWMAN, "run", COLLECTION, "--environment", FOLDER / "local.postman_environment.json"),
            *("--env-var", f"baseUrl={each_server.url}", "--timeout-request", "10000", "--color", "off"),
            *("--reporters", "cli,json", "--reporter-json-export", report),
        ],
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run = json.loads(report.read_text())["run"]
    assert run["stats"]["requests"] == {"total": len(requests()), "pending": 0, "failed": 0}
    assert run["stats"]["assertions"]["total"] >= 2 * len(requests())
    assert not run["failures"]


def test_every_request_asserts_something() -> None:
    for request in requests():
        scripts = [event["script"]["exec"] for event in request["event"] if event["listen"] == "test"]
        assert "pm.test(" in "\n".join(scripts[0]), request["name"]


def test_the_collection_has_every_operation_of_the_api(document: dict) -> None:
    sent = {
        f"{request['request']['method']} {request['request']['url'].removeprefix('{{baseUrl}}').partition('?')[0]}"
        for request in requests()
    }
    for operation, _, _ in operations(document):
        concrete = operation.replace("{productId}", "1").replace("{orderId}", "{{orderId}}")
        assert not operation.partition(" ")[2].startswith("/api/") or concrete in sent, operation
