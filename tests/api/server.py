"""The API as users run it: one process, on either engine, with the demo data."""

from __future__ import annotations

import os
import re
import subprocess
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = REPOSITORY / "docs" / "openapi.yaml"
ENGINES = ("sqlite", "postgres")
KEY = "apitest"
START_SECONDS = 30
LISTENING = re.compile(r'"message":"listening","address":"(127\.0\.0\.1:\d+)"')


class Server:
    """A running order-food."""

    def __init__(self, engine: str, folder: Path, settings: dict[str, str] | None = None) -> None:
        self.engine = engine
        self._folder = folder
        self._log = folder / "log"
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "SERVER_PORT": "0", **(settings or {})}
        if engine == "postgres":
            self._environment["DATABASE_URL"] = self._new_database()
            for job in ("database-migration", "database-load"):
                done = subprocess.run([program(job)], cwd=folder, env=self._environment, capture_output=True, text=True, timeout=60)
                assert done.returncode == 0, done.stdout + done.stderr
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([program("order-food")], cwd=folder, env=self._environment, stdout=log, stderr=log)
        try:
            self.url = self._listening()
        except BaseException:
            self.close()
            raise
        self.host, self.port = "127.0.0.1", urlsplit(self.url).port

    @staticmethod
    def _new_database() -> str:
        url = os.environ["TEST_POSTGRES_URL"]
        name = f"api_{uuid.uuid4().hex}"
        psql = Path(os.environ["TEST_POSTGRES_BIN"]) / "psql"
        subprocess.run([psql, "-qX", url, "-c", f'create database "{name}"'], check=True, timeout=30)
        return urlsplit(url)._replace(path=f"/{name}").geturl()

    def _listening(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        while not (found := LISTENING.search(self._log.read_text())):
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, f"order-food does not listen within {START_SECONDS} s: {self._log.read_text()}"
            time.sleep(0.01)  # ok: polls a file, until the deadline above
        return f"http://{found[1]}"

    def faults(self) -> list[str]:
        """What it had to log as an error."""
        return [line for line in self._log.read_text().splitlines() if '"level":"ERROR"' in line]

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise


def program(name: str) -> Path:
    """One of the programs under test."""
    return Path(os.environ["ORDER_FOOD_PROGRAMS"]) / name
