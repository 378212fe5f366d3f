"""Nothing that can be generated from the document surprises the server, nor its answers the document."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from server import DOCUMENT, ENGINES, Server

SCHEMATHESIS = Path(os.environ["ORDER_FOOD_API_TOOLS"]) / "venv" / "bin" / "schemathesis"
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
HOOKS = Path(__file__).with_name("reason_check.py")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """One of each engine, with whatever is generated to themselves."""
    running: list[Server] = []
    try:
        for engine in ENGINES:
            running.append(Server(engine, tmp_path_factory.mktemp(engine)))
        yield running
    finally:
        for server in running:
            server.close()


def test_generated_requests_are_answered_as_documented(servers: list[Server], tmp_path: Path, long: bool) -> None:
    # Cases for each operation at most; for both engines together at least; seconds.
    examples, least, seconds = (320, 10_000, 1_500) if long else (36, 2_000, 240)
    first_seed = time.time_ns() % 1_000_000_000 if long else 1
    started = time.monotonic()
    runs = []
    # Another seed for each: what one engine is asked need not be asked of the other.
    for seed, server in enumerate(servers, first_seed):
        folder = tmp_path / server.engine
        folder.mkdir()
        command = [
            *(SCHEMATHESIS, "--config-file", CONFIGURATION, "run", DOCUMENT, "--url", server.url, "--seed", str(seed)),
            *("--max-examples", str(examples), "--report", "json", "--report-json-path", folder / "report.json"),
        ]
        output = (folder / "output").open("w")
        environment = os.environ | {"SCHEMATHESIS_HOOKS": str(HOOKS)}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
        runs.append((server, seed, folder, process))
    generated = 0
    faults = []
    for server, seed, folder, process in runs:
        try:
            status = process.wait(max(1.0, started + seconds - time.monotonic()))
        finally:
            process.kill()
        output = (folder / "output").read_text()
        report_file = folder / "report.json"
        assert report_file.exists(), output
        report = json.loads(report_file.read_text())
        cases = report["test_cases"]
        if status or not report["complete"] or report["failures"] or report["errors"] or cases["errored"]:
            faults.append(f"{server.engine}, seed {seed}:\n{output}")
        faults += server.faults()
        assert report["operations"]["tested"] == report["operations"]["total"] > 0
        assert {name: phase["status"] for name, phase in report["phases"].items()}.keys() == {"examples", "coverage", "fuzzing", "stateful"}
        generated += cases["generated"]
        print(
            f"{server.engine}: {cases['generated']} cases, {cases['unique_failures']} failures, seed {seed}, {report['running_time']:.0f} s"
        )
    assert not faults, "\n".join(faults)
    assert generated >= least
