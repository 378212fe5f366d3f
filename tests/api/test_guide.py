"""docs/api.md is true."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import guide
from openapi import operations, reasons_by_status, resolve
from server import REPOSITORY, Server

# Errors that are not of one operation, so that no operation documents them.
OF_NO_OPERATION = {("405", "method_not_allowed")}


def normalized(said: str) -> str:
    """Without what differs from run to run."""
    return re.sub(r'"traceId":"[0-9a-f]{32}"', '"traceId":"TRACE"', said.replace("\r", "").strip())


def test_the_examples_do_what_they_say(server: Server, tmp_path: Path) -> None:
    examples = guide.examples()
    assert len(examples) == guide.TEXT.count("\n$ ") == 7
    for example in examples:
        command = example.command.replace("localhost:8080", f"{server.host}:{server.port}")
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=20)
        assert (done.returncode, done.stderr) == (0, ""), command
        assert normalized(done.stdout) == example.output, command


def test_every_error_of_the_document_has_its_reasons(document: dict) -> None:
    known = set(document["components"]["schemas"]["Reason"]["enum"])
    for name, operation, _ in operations(document):
        for status, response in operation["responses"].items():
            # Probes answer 503 in a shape of their own.
            if status >= "400" and "/Error'" in str(resolve(document, response)["content"]):
                assert set(response["x-reasons"]) <= known and response["x-reasons"], f"{name} {status}"


def test_the_table_of_errors_is_that_of_the_document(document: dict) -> None:
    rows = guide.errors()
    assert len(rows) == len(set(rows)) == guide.TEXT.count("\n| 4") + guide.TEXT.count("\n| 5")
    listed = {(status, reason) for status, reason, _ in rows}
    documented = reasons_by_status(document)
    assert listed - OF_NO_OPERATION == documented


def test_the_table_of_errors_is_that_of_the_program() -> None:
    source = (REPOSITORY / "crates/order-food/src/http/reason.rs").read_text()
    named = dict(re.findall(r'Self::(\w+) => (?:\{\s*)?\("(\w+)"', source))
    assert {reason for _, reason, _ in guide.errors()} == set(named.values())
    # What a reason's documentation says of its status.
    variants = re.findall(r"((?:    /// .*\n)+)    (\w+),", source.split("impl ")[0])
    assert len(variants) == len(named)
    for comment, variant in variants:
        said = set(re.findall(r"(\d{3}):", comment))
        assert {status for status, reason, _ in guide.errors() if reason == named[variant]} == said, variant
