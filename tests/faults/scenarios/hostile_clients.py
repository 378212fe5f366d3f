"""Clients that mean harm, or know no better."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections import Counter

import hostile
from scenarios.database_away import LEAKS
from client import OTHER_KEY, Connection, head
from harness import Run, scenario
from load import p99
from machine import get, until


@scenario(11, "bad requests")
async def bad_requests(run: Run) -> None:
    by_hand = [*hostile.by_hand(), *hostile.large(), *hostile.smuggling(), *hostile.injecting()]
    made = list(hostile.generated(run.seed, run.times(10_000, 100_000)))
    run.load = f"{len(by_hand)} by hand, {len(made)} generated"
    async with run.shop() as shop:
        [api] = shop.apis
        statuses: Counter = Counter()

        async def send(each: hostile.Hostile) -> None:
            run.requests += 1
            try:
                answered, text = await hostile.answer(api.port, each)
            except ConnectionError:
                answered, text = [], b""
            statuses.update(answered or [0])
            first = answered[0] if answered else 0
            run.expect(first in each.expected, f"{each.name}: {answered or 'no answer'}, expected {sorted(each.expected)}")
            run.unexpected += sum(status >= 500 for status in answered)
            run.expect(all(status < 500 for status in answered), f"{each.name}: {each.bytes[:300]!r} was answered {answered}")
            if each.name.startswith("smuggling"):
                run.expect(len(answered) == 1, f"{each.name}: {answered}")
            run.expect(b"\nset-cookie" not in text.lower(), f"{each.name}: a header was injected")
            run.expect(not LEAKS.search(text), f"{each.name}: {text[:300]!r} tells of the database")

        async def send_all(requests: list[hostile.Hostile], at_once: int) -> None:
            left = iter(requests)

            async def work() -> None:
                for each in left:
                    await send(each)

            await asyncio.gather(*(work() for _ in range(at_once)))

        # The first ones fill buffers that stay.
        await send_all(by_hand[:200] + made[:1000], 20)
        memory = api.most_memory_mb()
        await send_all(by_hand[200:], 8)
        await send_all(made[1000:], 20)
        run.measure("memory growth", api.most_memory_mb() - memory, 20, "MB")
        run.figures["statuses"] = str(dict(sorted(statuses.items())))
        run.expect(api.is_running and (await get(api.port, "/readyz"))[0] == 200, "the API is not ready afterwards")
        # What the framework says about requests that are none, is not about the server.
        errors = [
            line for line in api.lines() if line.get("level") == "ERROR" and not line.get("target", "").startswith("actix_http")
        ]
        run.expect(not errors, f"{len(errors)} errors were logged: {errors[:1]}")
        async with shop.ordering(4):
            await asyncio.sleep(0.3)


# More answers than buffers between two processes take, for few requests: the framework reads all that it gets at once,
# and keeps some 5 KiB for each.
UNREAD = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 100


class Crowd:
    """Sockets that take their time, of several kinds."""

    def __init__(self, port: int, count: int) -> None:
        self.port, self.count = port, count
        self.sockets: list[tuple[socket.socket, bytes, bytes]] = []

    async def __aenter__(self) -> Crowd:
        kinds = itertools.cycle(
            (
                # The head of a first request, of a second, and a body, byte by byte; nothing at all.
                (b"GET /livez HTTP/1.1\r\n", b"X"),
                (b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /livez HTTP/1.1\r\n", b"X"),
                (b"POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nX\r\n"),
                (b"POST /api/order HTTP/1.1\r\nHost: a\r\napi_key: apitest\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n", b" "),
                (b"", b""),
            )
        )
        for at in range(self.count):
            # A few do not read what they asked for; megabytes for each are under way at once.
            start, more = (UNREAD, b"") if at % 40 == 0 else next(kinds)
            self.sockets.append((self._open(start), start, more))
            if at % 50 == 0:
                await asyncio.sleep(0)
        self.trickling = asyncio.create_task(self._trickle())
        return self

    def _open(self, start: bytes) -> socket.socket:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(5)
        connection.connect(("127.0.0.1", self.port))
        connection.setblocking(False)
        with contextlib.suppress(OSError):
            connection.send(start)
        return connection

    async def _trickle(self) -> None:
        """A byte each, about every three seconds; whoever was thrown out comes back."""
        while True:
            for at, (connection, start, more) in enumerate(self.sockets):
                try:
                    if more:
                        connection.send(more)
                except BlockingIOError:
                    pass
                except OSError:
                    connection.close()
                    with contextlib.suppress(OSError):
                        self.sockets[at] = (self._open(start), start, more)
                if at % 20 == 0:
                    await asyncio.sleep(60 / self.count)

    async def __aexit__(self, *_: object) -> None:
        self.trickling.cancel()
        await asyncio.gather(self.trickling, return_exceptions=True)
        for connection, *_ in self.sockets:
            connection.close()


@scenario(12, "2,000 slow sockets")
async def slow_sockets(run: Run) -> None:
    async with run.shop(is_steady=True) as shop:
        [api] = shop.apis
        seconds = run.times(3, 10)
        alone, beside = [], []
        async with shop.ordering(2, think=0.05):
            for _ in range(run.times(1, 5)):
                alone.append(await shop.load(seconds, 16))
                async with Crowd(api.port, 2000):
                    await asyncio.sleep(1)
                    beside.append(await shop.load(seconds, 16))
                    run.measure("memory", api.memory_mb(), 1000, "MB")
                run.faults["slow sockets"] += 2000
        before, after = p99(alone), p99(beside)
        run.figures.update({"p99 alone": before, "p99 beside": after})
        run.figures["p99 by turns"] = " ".join(f"{load['p99'] * 1000:.1f}" for turn in zip(alone, beside, strict=True) for load in turn)
        run.measure("p99 ratio", after / before, run.bar(2.0, 4.0), "")
        for each in (*alone, *beside):
            run.expect(set(each["statuses"]) == {"200"}, f"orders: {each}")
    await more_than_files(run)
    if run.is_long:
        await slow_ones_end(run)


async def more_than_files(run: Run) -> None:
    """More connections than the process can have files: who comes later is served before long."""
    async with run.shop(apis=0) as shop:
        api = await shop.add_api(start=False)
        api.most_files = 600
        await api.start()
        crowd = []
        for _ in range(500):
            connection = socket.socket()
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                connection.connect(("127.0.0.1", api.port))
            crowd.append(connection)
        run.faults["sockets for 600 files"] = len(crowd)
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0.5)
        started = loop.time()
        status, _ = await get(api.port, "/livez", 20)
        run.measure("served in a crowd after", loop.time() - started, run.bar(15, 20))
        run.expect(status == 200, f"in a crowd: {status}")
        for connection in crowd:
            connection.close()
        async with shop.ordering(4):
            await asyncio.sleep(0.3)
        run.expect("Too many open files" not in api.log.read_text(), "the API ran out of files")


async def slow_ones_end(run: Run) -> None:
    """No client keeps a connection by being slow."""
    async with run.shop() as shop:
        [api] = shop.apis
        loop = asyncio.get_running_loop()
        get_head = head("GET", "/livez")

        async def lasts(start: bytes, more: bytes, expected: bytes) -> float:
            reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
            received = bytearray()

            async def read() -> None:
                with contextlib.suppress(ConnectionError):
                    while data := await reader.read(1 << 16):
                        received.extend(data)

            writer.write(start)
            started = loop.time()
            reading = asyncio.create_task(read())
            with contextlib.suppress(ConnectionError):
                while loop.time() < started + 120 and not reading.done():
                    writer.write(more)
                    await writer.drain()
                    await asyncio.sleep(0.5)
            lasted = loop.time() - started
            reading.cancel()
            writer.close()
            run.expect(expected in received, f"who sends {start!r} slowly is answered {received[-300:]!r}")
            return lasted

        async def unread() -> float:
            # Who does not read does not see the end either; the server's number of files tells.
            started = loop.time()
            before = api.files()
            connections = [Crowd(api.port, 0)._open(UNREAD) for _ in range(50)]
            await until(lambda: api.files() >= before + 50, 5, "they are connected")
            with contextlib.suppress(AssertionError):
                await until(lambda: api.files() < before + 10, 120, "they are not", 0.5)
            for connection in connections:
                connection.close()
            return loop.time() - started

        chunked = b"POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        order = head("POST", "/api/order", OTHER_KEY, Content_Type="application/json", Content_Length=9000) + b"\r\n"
        most = {"first head": 7, "second head": 90, "endless body": 90, "order": 7, "answers that nobody reads": 8}
        lasted = await asyncio.gather(
            lasts(get_head, b"X", b""),
            lasts(get_head + b"\r\n" + get_head, b"X", b" 200 OK"),
            lasts(chunked, b"1\r\nX\r\n", b" 404 Not Found"),
            lasts(order, b" ", b" 408 Request Timeout"),
            unread(),
        )
        for (kind, seconds), took in zip(most.items(), lasted, strict=True):
            run.measure(f"{kind} lasts", took, seconds)
        connection = Connection(api.port)
        status, _, _ = await connection.send(get_head + b"\r\n", 5)
        run.expect(status == 200, "afterwards")
        connection.close()
