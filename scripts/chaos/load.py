#!/usr/bin/env python3
"""Orders and reads the menu until SIGTERM, then says whether everything came out right.

Every order has an Idempotency-Key and is sent again as docs/ordering.md says, until it is answered. Right is: every
request was answered in the end, every order that was confirmed can be read, and no other order was placed for the client.

The key in SHOP_API_KEY needs the scopes create_order and read_orders, and a client that nothing else uses meanwhile.
Says "running" once orders are answered. Exits with 0 if all came out right, else 1.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import signal
import sys
import threading
import time
import uuid
from urllib.parse import urlsplit

ORDER = json.dumps({"items": [{"productId": "1", "quantity": 2}, {"productId": "3", "quantity": 1}]})
# Answers after which docs/ordering.md says: send the same again.
AGAIN = {408, 409, 429, 500, 502, 503, 504}
# A new key may be refused for so long, and is known to every instance once none has refused it for so long.
KEY_SECONDS = 10
EVERYWHERE_SECONDS = 1


def reason(error: Exception) -> str:
    """Why there is no answer."""
    if isinstance(error, OSError):
        return getattr(error, "strerror", None) or str(error)
    return "it broke off, or is no HTTP"


def said(status: int, body: bytes) -> str:
    """An answer, or why there is none, as one line."""
    text = " ".join(body[:200].decode(errors="replace").split())
    return f"{status} {text}" if status else text


class Load:
    """Clients, and what happened to them."""

    def __init__(self, arguments: argparse.Namespace, key: str) -> None:
        self.arguments = arguments
        self.base = urlsplit(arguments.url)
        self.key = key
        self.confirmed: set[str] = set()
        self.menus = self.again = 0
        self.slowest = 0.0
        self.failures: list[str] = []
        self.over = threading.Event()
        self._lock = threading.Lock()

    def ask(self, method: str, path: str, key: str = "") -> tuple[int, bytes, str]:
        """One try: status, body, Link; a status of 0 is no answer, and the body then says why."""
        connection = http.client.HTTPConnection(self.base.hostname, self.base.port or 80, timeout=self.arguments.timeout)
        headers = {"X-API-Key": self.key, "Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}
        try:
            connection.request(method, self.base.path.rstrip("/") + path, ORDER if method == "POST" else None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers.get("Link", "")
        except TimeoutError:
            return 0, f"no answer within {self.arguments.timeout:g} s".encode(), ""
        except (OSError, http.client.HTTPException) as error:
            return 0, f"no answer: {reason(error)}".encode(), ""
        finally:
            connection.close()

    def answered(self, method: str, path: str) -> bytes | None:
        """The body of a 200, however often one must ask."""
        key = str(uuid.uuid4()) if method == "POST" else ""
        start = time.monotonic()
        while True:
            status, body, _ = self.ask(method, path, key)
            took = time.monotonic() - start
            if status == 200:
                with self._lock:
                    self.slowest = max(self.slowest, took)
                return body
            text = f"{method} {path}: {said(status, body)}"
            if self.arguments.strict or (status and status not in AGAIN) or took > self.arguments.give_up:
                with self._lock:
                    self.failures.append(text)
                return None
            with self._lock:
                self.again += 1
            time.sleep(0.1)

    def client(self) -> None:
        """Orders, reads the menu, and so on."""
        for number in itertools.count():
            body = self.answered("GET" if number % 2 else "POST", "/api/product" if number % 2 else "/api/order")
            with self._lock:
                if body and number % 2:
                    self.menus += 1
                elif body:
                    self.confirmed.add(json.loads(body)["id"])
            if self.over.wait(self.arguments.clients / self.arguments.rate):
                return

    def await_key(self) -> None:
        """Until the key is known everywhere: each instance learns of a new one by itself, within a second."""
        start = refused = time.monotonic()
        while time.monotonic() < refused + EVERYWHERE_SECONDS:
            status, body, _ = self.ask("GET", "/api/order?limit=1")
            if status == 403 and b"invalid_api_key" in body:
                refused = time.monotonic()
                if refused > start + KEY_SECONDS:
                    raise ValueError(f"the key is not known after {KEY_SECONDS} s: {said(status, body)}")
            time.sleep(0.05)

    def placed(self) -> set[str]:
        """The ids of the client's orders, from all pages."""
        found: set[str] = set()
        path: str | None = "/api/order?limit=100"
        while path:
            status, body, link = self.ask("GET", path)
            if status != 200:
                raise ValueError(f"the orders cannot be read: {said(status, body)}")
            found |= {order["id"] for order in json.loads(body)}
            path = None
            if link:
                following = urlsplit(link.partition("<")[2].partition(">")[0])
                path = f"{following.path}?{following.query}"
        return found

    def run(self) -> None:
        """Until told to stop, or for the longest time."""
        self.await_key()
        before = self.placed()
        threads = [threading.Thread(target=self.client, daemon=True) for _ in range(self.arguments.clients)]
        for thread in threads:
            thread.start()
        told = False
        deadline = time.monotonic() + self.arguments.seconds
        while time.monotonic() < deadline and not self.over.wait(0.05):
            if not told and self.confirmed:
                print("running", flush=True)
                told = True
        self.over.set()
        for thread in threads:
            thread.join(self.arguments.give_up + self.arguments.timeout + 1)
        if any(thread.is_alive() for thread in threads):
            self.failures.append("a request was never answered")
        if not self.confirmed:
            self.failures.append("no order was confirmed")
        after = self.placed() - before
        self.failures += [f"order {each} was confirmed and is not there" for each in sorted(self.confirmed - after)]
        self.failures += [f"order {each} was placed and not confirmed to any client" for each in sorted(after - self.confirmed)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="such as http://127.0.0.1:8080")
    parser.add_argument("--seconds", type=float, default=900, help="stop by itself then; default: %(default)s")
    parser.add_argument("--clients", type=int, default=4, help="at once; default: %(default)s")
    parser.add_argument("--rate", type=float, default=100, help="requests a second of all together at most; default: %(default)s")
    parser.add_argument("--timeout", type=float, default=10, help="of one try, in seconds; default: %(default)s")
    parser.add_argument("--give-up", type=float, default=60, help="seconds after which a request counts as not answered; default: %(default)s")
    parser.add_argument("--strict", action="store_true", help="try nothing again: every failure counts")
    arguments = parser.parse_args()
    key = os.environ.get("SHOP_API_KEY")
    if not key:
        parser.error("SHOP_API_KEY is not set")
    load = Load(arguments, key)
    signal.signal(signal.SIGTERM, lambda *_: load.over.set())
    try:
        load.run()
    except ValueError as error:
        load.failures.append(str(error))
    print(f"{len(load.confirmed)} orders, {load.menus} menus, {load.again} tries repeated, slowest {load.slowest:.2f} s, {len(load.failures)} failures")
    for failure in load.failures[:10]:
        print(f"  {failure}")
    return bool(load.failures)


if __name__ == "__main__":
    sys.exit(main())
