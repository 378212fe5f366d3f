"""A proxy in front of PostgreSQL that delays what goes through, or ends connections when orders are committed."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter


class Requests:
    """Follows what a client asks, by PostgreSQL's protocol 3.0 (manual, "Message Formats")."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.is_started = False
        # Names of the prepared statements that store orders.
        self.storing: set[bytes] = set()
        self.is_storing = False

    def commit_orders(self, data: bytes) -> bool:
        """Whether these bytes end a request that stores orders, or commits a transaction."""
        self.buffer += data
        commits = False
        while message := self._next():
            kind, body = message
            first, _, rest = body.partition(b"\0")
            second = rest.partition(b"\0")[0]
            if kind == b"P" and b"insert into orders " in second:
                self.storing.add(first)
            elif kind == b"B":
                self.is_storing = second in self.storing
            elif kind == b"S":
                # Sync commits what was executed outside a transaction.
                commits |= self.is_storing
                self.is_storing = False
            elif kind == b"Q":
                commits |= first == b"COMMIT"
        return commits

    def _next(self) -> tuple[bytes, bytes] | None:
        # Only the first message has no kind.
        start = int(self.is_started)
        if len(self.buffer) < start + 4:
            return None
        end = start + int.from_bytes(self.buffer[start : start + 4])
        if len(self.buffer) < end:
            return None
        message = bytes(self.buffer[:end])
        del self.buffer[:end]
        kind, self.is_started = (message[:1] if self.is_started else b""), True
        return kind, message[start + 4 :]


class Proxy:
    """What is set on it counts for open connections too."""

    def __init__(self, server_port: int, seed: int = 0) -> None:
        self.server_port, self.random = server_port, random.Random(seed)
        # Of each answer.
        self.delay = 0.0
        # What all connections together may ask, in bytes a second; 0 for as much as they like.
        self.bandwidth = 0.0
        self.free_at = 0.0
        # One in so many commits loses its connection: just sent, answered, late, or lost.
        self.cut_one_in = 0
        self.cuts: Counter = Counter()

    async def start(self) -> Proxy:
        """Begins to listen."""
        self.server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        self.tasks: set[asyncio.Task] = set()
        return self

    async def close(self) -> None:
        """Ends all connections."""
        self.server.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _relay(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self.tasks.add(task)
        server = None
        # A connection that ends is what this is for.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            server_reader, server = await asyncio.open_connection("127.0.0.1", self.server_port)
            back = asyncio.create_task(self._answers(server_reader, client))
            try:
                await self._requests(client_reader, client, server)
            finally:
                back.cancel()
        for writer in (client, server):
            if writer:
                writer.close()
        self.tasks.discard(task)

    async def _requests(
        self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter, server: asyncio.StreamWriter
    ) -> None:
        requests = Requests()
        while data := await client_reader.read(1 << 16):
            commits = requests.commit_orders(data)
            if commits and self.cut_one_in and self.random.randrange(self.cut_one_in) == 0:
                cut = self.random.choice(("sent", "answered", "late", "lost"))
                self.cuts[cut] += 1
                if cut in ("sent", "answered"):
                    server.write(data)
                    await server.drain()
                if cut == "answered":
                    # The answer has come, and goes nowhere.
                    await asyncio.sleep(0.02)
                client.transport.abort()
                if cut == "late":
                    await asyncio.sleep(self.random.uniform(0.001, 0.04))
                    server.write(data)
                    await server.drain()
                if cut != "lost":
                    # The server hears the request before it hears the end.
                    await asyncio.sleep(0.05)
                return
            if self.bandwidth:
                now = time.monotonic()
                self.free_at = max(self.free_at, now) + len(data) / self.bandwidth
                await asyncio.sleep(self.free_at - now)
            server.write(data)
            await server.drain()

    async def _answers(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 18):
                if self.delay:
                    await asyncio.sleep(self.delay)
                client.write(data)
                await client.drain()
        client.close()
