"""Clients that order, try again with the same key, and write down all that they were told."""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import itertools
import json
import random
import time
from dataclasses import dataclass, field

KEY, ONCE_KEY, OTHER_KEY, ADMIN_KEY = "recording-client-key", "unkeyed-client-key", "apitest", "admin-client-key"

# What the documentation says POST /api/order answers; 503 by its reasons.
STATUSES = {200, 400, 401, 403, 406, 408, 409, 413, 415, 422, 429, 503}
REASONS_503 = {"overloaded", "database_unavailable", "outcome_unknown"}
# Statuses that ask to send the same again.
TRY_AGAIN = {0, 408, 409, 429, 500, 502, 503, 504}


@dataclass(slots=True)
class Attempt:
    """A request, and what came of it; status 0 is no answer."""

    at: float
    seconds: float
    status: int
    reason: str
    headers: dict[str, str]
    refusal: bytes

    def end(self) -> float:
        """When it was answered, or given up."""
        return self.at + self.seconds


@dataclass(slots=True)
class Order:
    """What somebody wants, under its key, until it is answered for good."""

    key: str
    body: bytes
    attempts: list[Attempt] = field(default_factory=list)
    status: int = 0
    answer: bytes = b""
    id: str = ""


class Connection:
    """A keep-alive connection, made when needed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    def close(self) -> None:
        """Ends it."""
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None

    async def send(self, request: bytes, seconds: float) -> tuple[int, dict[str, str], bytes]:
        """Sends a whole request; status, headers and body of the answer. OSError where there is none."""
        try:
            async with asyncio.timeout(seconds):
                if self.writer is None:
                    self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
                self.writer.write(request)
                head = await self.reader.readuntil(b"\r\n\r\n")
                first, *lines = head.decode("latin-1").split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.close()
            raise OSError("no answer") from error
        except BaseException:
            self.close()
            raise
        if headers.get("connection", "").lower() == "close":
            self.close()
        return int(first.split(" ", 2)[1]), headers, body


def head(method: str, path: str, key: str = KEY, **headers: object) -> bytes:
    """The start of a request, without its last empty line."""
    lines = [f"{method} {path} HTTP/1.1", "Host: faults", f"api_key: {key}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n"


def post(order_key: str | None, body: bytes, api_key: str = KEY) -> bytes:
    """An order as bytes."""
    headers = {"Content_Type": "application/json", "Content_Length": len(body)}
    if order_key is not None:
        headers["Idempotency_Key"] = order_key
    return head("POST", "/api/order", api_key, **headers) + b"\r\n" + body


class Record:
    """Everything that clients sent and were told."""

    _runs = itertools.count()
    api_key = KEY

    def __init__(self, ports: list[int], seed: int) -> None:
        self.ports, self.random = ports, random.Random(seed)
        self.orders: list[Order] = []
        # All attempts, as they ended.
        self.ended: list[Attempt] = []
        self.name = f"r{next(self._runs)}"
        # One order in so many asks for this code.
        self.codes: tuple[str, ...] = (None, None, None, "SAVE10", "HAPPYHRS", "LIMITED", "PLENTY")
        self.answer_seconds, self.pause = 10.0, 0.05

    def new_order(self) -> Order:
        """An order that nobody has placed before."""
        lines = [
            {"productId": str(self.random.randint(1, 10)), "quantity": self.random.randint(1, 3)}
            for _ in range(self.random.randint(1, 3))
        ]
        body = {"items": lines, "couponCode": self.random.choice(self.codes)}
        order = Order(f"{self.name}-{len(self.orders)}", json.dumps(body).encode())
        self.orders.append(order)
        return order

    async def attempt(self, connection: Connection, order: Order) -> Attempt:
        """Sends the order once."""
        started = time.monotonic()
        try:
            request = post(order.key, order.body, self.api_key)
            status, headers, body = await connection.send(request, self.answer_seconds)
        except OSError:
            status, headers, body = 0, {}, b""
        reason = ""
        if status not in (0, 200):
            with contextlib.suppress(ValueError, AttributeError):
                reason = json.loads(body).get("reason", "")
        refusal = b"" if status == 200 else body
        done = Attempt(started, time.monotonic() - started, status, reason, headers, refusal)
        order.attempts.append(done)
        self.ended.append(done)
        if status not in TRY_AGAIN:
            order.status, order.answer = status, body
            order.id = json.loads(body)["id"] if status == 200 else ""
        return done

    async def converge(self, connection: Connection, order: Order, seconds: float = 60) -> None:
        """Sends the order until it is answered for good."""
        deadline = time.monotonic() + seconds
        while True:
            await self.attempt(connection, order)
            if order.status:
                return
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(self.pause)

    async def client(self, number: int, is_over: asyncio.Event, think: float) -> None:
        """Orders one after the other."""
        ports = itertools.cycle(self.ports[number % len(self.ports) :] + self.ports[: number % len(self.ports)])
        connection = Connection(next(ports))
        while not is_over.is_set():
            order = self.new_order()
            while not order.status and (not order.attempts or order.attempts[0].at + 60 > time.monotonic()):
                await self.attempt(connection, order)
                if not order.status:
                    # The next server, where there are several.
                    connection.close()
                    connection = Connection(next(ports))
                    await asyncio.sleep(self.pause)
            if think:
                await asyncio.sleep(think)
        connection.close()

    @contextlib.asynccontextmanager
    async def ordering(self, clients: int, think: float = 0.0) -> object:
        """While inside, so many clients order; at the end each has an answer for good to its last order."""
        is_over = asyncio.Event()
        tasks = [asyncio.create_task(self.client(number, is_over, think)) for number in range(clients)]
        try:
            yield self
        finally:
            is_over.set()
            await asyncio.gather(*tasks)

    def attempts(self, since: float = 0.0, until: float = float("inf")) -> list[Attempt]:
        """All attempts that began between two moments."""
        # Whoever looks at all of them holds up the clients meanwhile.
        ended = self.ended[bisect.bisect_left(self.ended, since, key=Attempt.end) :]
        return [each for each in ended if since <= each.at < until]

    def rate(self, since: float, until: float) -> float:
        """Orders acknowledged a second."""
        first, last = (bisect.bisect_left(self.ended, moment, key=Attempt.end) for moment in (since, until))
        return sum(each.status == 200 for each in self.ended[first:last]) / max(until - since, 1e-9)

    def recovered_after(self, moment: float, before: float, least: float, window: float = 0.5) -> float:
        """How long after a moment orders were acknowledged at four fifths of the full rate again. The full rate is that
        from before, or that of the last second, if the machine has become busier; never below `least` of the first."""
        done = sorted(each.end() for each in self.attempts(moment - 30) if each.status == 200)
        done = [each for each in done if each >= moment]
        last = sum(each > done[-1] - 1 for each in done) if done else 0
        full_rate = max(min(before, last), before * least)
        enough = max(int(0.8 * full_rate * window), 1)
        for first, last in zip(done, done[enough - 1 :], strict=False):
            if last - first <= window:
                return first - moment
        return float("inf")

    async def found(self, port: int, count: int, connections: int) -> dict[int, int]:
        """How often which status: the orders that were acknowledged last are asked for, over several connections."""
        statuses: dict[int, int] = {}
        recent = sorted(self.acknowledged, key=lambda order: order.attempts[-1].end())[-count:]

        async def ask(number: int) -> None:
            connection = Connection(port)
            for order in recent[number::connections]:
                try:
                    status, _, _ = await connection.send(head("GET", f"/api/order/{order.id}", self.api_key) + b"\r\n", 5)
                except OSError:
                    status = 0
                statuses[status] = statuses.get(status, 0) + 1
            connection.close()

        await asyncio.gather(*map(ask, range(connections)))
        return statuses

    @property
    def acknowledged(self) -> list[Order]:
        """Orders that a client was told are placed."""
        return [order for order in self.orders if order.status == 200]


class Once(Record):
    """Of clients that order without a key, and never the same twice: what each is told of its order is looked up."""

    api_key = ONCE_KEY

    def new_order(self) -> Order:
        """An order whose quantities are its number."""
        number = len(self.orders)
        quantities = (number // 1_000_000, number // 1000 % 1000, number % 1000)
        lines = [{"productId": str(place), "quantity": digits + 1} for place, digits in enumerate(quantities, 1)]
        order = Order(None, json.dumps({"items": lines}).encode())
        self.orders.append(order)
        return order

    async def client(self, number: int, is_over: asyncio.Event, think: float) -> None:
        """Orders one after the other, each once."""
        connection = Connection(self.ports[number % len(self.ports)])
        while not is_over.is_set():
            done = await self.attempt(connection, self.new_order())
            await asyncio.sleep(think if done.status == 200 else self.pause)
        connection.close()

    def wrong(self, stored: dict[int, list[str]]) -> tuple[list[str], list[str]]:
        """Orders that are lost, and that are there although their client was told that they are not, or twice; by the ids
        that are stored under each number."""
        lost, extra = [], []
        for number, order in enumerate(self.orders):
            found = stored.get(number, [])
            if order.status == 200 and order.id not in found:
                lost.append(f"{number}: {order.id}, not {found}")
            [told] = order.attempts
            # Of all else it is said that it is not placed.
            may_be_there = told.status in (0, 200) or told.reason == "outcome_unknown"
            if len(found) > may_be_there:
                extra.append(f"{number}: told {told.status} {told.reason}, there are {found}")
        return lost, extra


class Prober:
    """Asks for paths, or other things by a name, again and again, and writes down what it was told."""

    def __init__(self, port: int, *paths: str, pause: float = 0.02, **requests: bytes) -> None:
        self.port, self.pause = port, pause
        self.requests = {path: head("GET", path) + b"\r\n" for path in paths} | requests
        self.seen: list[tuple[float, str, int, float]] = []

    async def _run(self, path: str, request: bytes) -> None:
        connection = Connection(self.port)
        while True:
            started = time.monotonic()
            try:
                status, _, _ = await connection.send(request, 5)
            except OSError:
                status = 0
            self.seen.append((started, path, status, time.monotonic() - started))
            await asyncio.sleep(self.pause)

    async def __aenter__(self) -> Prober:
        self.tasks = [asyncio.create_task(self._run(path, request)) for path, request in self.requests.items()]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def statuses(self) -> dict[str, dict[int, int]]:
        """How often each path answered how."""
        counts: dict[str, dict[int, int]] = {}
        for _, path, status, _ in self.seen:
            per = counts.setdefault(path, {})
            per[status] = per.get(status, 0) + 1
        return counts

    def slowest(self) -> float:
        """The longest answer."""
        return max((seconds for *_, seconds in self.seen), default=0.0)


def percentile(values: list[float], part: float) -> float:
    """The value that this part of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else float("nan")
