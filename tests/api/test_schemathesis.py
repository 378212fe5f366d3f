"""Nothing that can be generated from the document surprises the server, nor its answers the document."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from server import DOCUMENT, ENGINES, Server

SCHEMATHESIS = Path(os.environ["ORDER_FOOD_API_TOOLS"]) / "venv" / "bin" / "schemathesis"
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
PHASES = ("examples", "coverage", "fuzzing", "stateful")
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


@dataclass
class Run:
    """schemathesis at work on one server."""

    server: Server
    seed: int
    folder: Path
    process: subprocess.Popen

    @classmethod
    def start(cls, server: Server, seed: int, folder: Path, examples: int) -> Run:
        folder.mkdir()
        command = [
            *(SCHEMATHESIS, "--config-file", CONFIGURATION, "run", DOCUMENT, "--url", server.url, "--seed", str(seed)),
            *("--max-examples", str(examples), "--report", "json", "--report-json-path", folder / "report.json"),
        ]
        environment = os.environ | {"SCHEMATHESIS_HOOKS": str(HOOKS)}
        with (folder / "output").open("w") as output:
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
        return cls(server, seed, folder, process)

    def cases(self, deadline: float) -> int:
        """How many it was, if nothing was wrong with them."""
        status = self.process.wait(max(1.0, deadline - time.monotonic()))
        output = (self.folder / "output").read_text()
        assert status == 0, f"{self.server.engine}, seed {self.seed}:\n{output}"
        report = json.loads((self.folder / "report.json").read_text())
        assert report["complete"] and not report["failures"] and not report["errors"], output
        assert report["operations"]["tested"] == report["operations"]["total"] > 0
        assert {name: phase["status"] for name, phase in report["phases"].items()} == dict.fromkeys(PHASES, "success")
        assert not self.server.faults()
        cases = report["test_cases"]["generated"]
        print(f"{self.server.engine}: {cases} cases, seed {self.seed}, {report['running_time']:.0f} s: nothing found")
        return cases


def test_generated_requests_are_answered_as_documented(servers: list[Server], tmp_path: Path, long: bool) -> None:
    # Cases for each operation and phase at most; for both engines together at least; seconds.
    examples, least, seconds = (320, 10_000, 1_500) if long else (36, 2_000, 240)
    first_seed = time.time_ns() % 1_000_000_000 if long else 1
    deadline = time.monotonic() + seconds
    runs: list[Run] = []
    try:
        # Another seed for each: what one engine is asked need not be asked of the other.
        for seed, server in enumerate(servers, first_seed):
            runs.append(Run.start(server, seed, tmp_path / server.engine, examples))
        assert sum(run.cases(deadline) for run in runs) >= least
    finally:
        for run in runs:
            run.process.kill()
