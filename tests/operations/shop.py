"""The real API as a process, and what people do with it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAMS = Path(os.environ["ORDER_FOOD_PROGRAMS"])
ORDER = {"items": [{"productId": "1", "quantity": 2}, {"productId": "3", "quantity": 1}]}


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> object:
    """What the condition returns as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return result


@dataclass
class Answer:
    """An answer to a request."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask(url: str, body: object = None, **headers: str) -> Answer:
    """A GET, or a POST of this body."""
    data = None if body is None else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **names})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, dict(error.headers), error.read())


def program(name: str, *arguments: str, **environment: str) -> str:
    """The output of one of the programs, which must succeed."""
    done = subprocess.run(
        [PROGRAMS / name, *arguments], env={"PATH": "", **environment}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Api:
    """An API that serves, until it is stopped."""

    def __init__(self, folder: Path, database_url: str, **settings: str) -> None:
        self.folder, self.database_url = folder, database_url
        self._log = folder / f"api-{time.monotonic_ns()}.log"
        environment = {"DATABASE_URL": database_url, "SERVER_PORT": "0", "LOG_FORMAT": "json", **settings}
        with self._log.open("w") as log:
            self.process = subprocess.Popen([PROGRAMS / "order-food"], cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            self.url = wait_until(self._address, 20, "the API listens")
            wait_until(lambda: ask(f"{self.url}/readyz").status == 200, 20, "the API is ready")
        except BaseException:
            self.process.kill()
            print(self._log.read_text())
            raise

    def _address(self) -> str | None:
        assert self.process.poll() is None, self._log.read_text()
        found = re.search(r'"listening","address":"([^"]+)"', self._log.read_text())
        return found and f"http://{found[1]}"

    def order(self, key: str, body: object = ORDER) -> Answer:
        """Places an order under an idempotency key."""
        return ask(f"{self.url}/api/order", body, X_API_Key="apitest", Idempotency_Key=key)

    def stop(self) -> None:
        """As a pod is stopped."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0
