"""Requests that nobody should send: those of corpus.txt, some that are too large for a file, and generated ones."""

from __future__ import annotations

import asyncio
import codecs
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GOOD = b'{"items":[{"productId":"1","quantity":1}]}'
KEYED = b"api_key: apitest\r\nContent-Type: application/json\r\n"
# What a request of any kind may be answered, but for the 503 of a server that is not ready.
ANY = {200, 204, 304, 400, 401, 403, 404, 405, 406, 408, 409, 413, 415, 417, 422, 431}


@dataclass(slots=True)
class Hostile:
    """Bytes to send, and the statuses that may come back; 0 is none."""

    bytes: bytes
    expected: set[int]
    name: str
    # More to send after the first answer may have come: as much as is taken.
    endless: bytes = b""


def by_hand() -> Iterator[Hostile]:
    """Those of corpus.txt."""
    section = ""
    for line in Path(__file__).with_name("corpus.txt").read_bytes().splitlines():
        if line.startswith((b"# ", b"[")) or not line:
            section = line.decode() if line.startswith(b"[") else section
            continue
        statuses, _, rest = line.partition(b" ")
        content = codecs.escape_decode(rest)[0]
        expected = {int(status) for status in statuses.split(b",")}
        if section == "[body]":
            content = post(KEYED, content)
        elif section == "[path]":
            method, _, target = content.partition(b" ")
            content = method + b" " + target + b" HTTP/1.1\r\nHost: a\r\napi_key: apitest\r\n\r\n"
        elif section == "[head]":
            headers = content.replace(b"$L", str(len(GOOD)).encode())
            content = b"POST /api/order HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n\r\n" + GOOD
        yield Hostile(content, expected, f"{section} {rest[:120]!r}")


def post(headers: bytes, body: bytes) -> bytes:
    """An order."""
    length = str(len(body)).encode()
    return b"POST /api/order HTTP/1.1\r\nHost: a\r\n" + headers + b"Content-Length: " + length + b"\r\n\r\n" + body


def large() -> Iterator[Hostile]:
    """Those that would not fit into a file."""
    deep = 10_000
    for name, body, expected in (
        ("arrays 10,000 deep", b"[" * deep + b"]" * deep, {400}),
        ("objects 10,000 deep", b'{"a":' * deep + b"1" + b"}" * deep, {400}),
        ("items 10,000 deep", b'{"items":' + b"[" * deep + b"]" * deep + b"}", {400}),
        ("an unknown member 10,000 deep", b'{"items":[{"productId":"1","quantity":1}],"x":' + b"[" * deep + b"]" * deep + b"}", {200, 400}),
        ("10,000 open brackets", b"[" * deep, {400}),
        ("a number of 50,000 digits", b'{"items":[{"productId":"1","quantity":' + b"9" * 50_000 + b"}]}", {400}),
        ("a fraction of 50,000 digits", b'{"items":[{"productId":"1","quantity":1.' + b"0" * 50_000 + b"1}]}", {200, 400}),
        ("a product's id of 50,000 digits", b'{"items":[{"productId":"' + b"1" * 50_000 + b'","quantity":1}]}', {400}),
        ("a code of 50,000 bytes", b'{"items":[{"productId":"1","quantity":1}],"couponCode":"' + b"A" * 50_000 + b'"}', {400}),
        ("100 lines", b'{"items":[' + b",".join([b'{"productId":"1","quantity":1000}'] * 100) + b"]}", {200}),
        ("101 lines", b'{"items":[' + b",".join([b'{"productId":"1","quantity":1}'] * 101) + b"]}", {400}),
        ("1,500 lines", b'{"items":[' + b",".join([b'{"productId":"1","quantity":1}'] * 1500) + b"]}", {400}),
        ("5,000 unknown members", b'{"items":[],' + b",".join(b'"m%d":0' % number for number in range(5000)) + b"}", {400}),
        ("5,000 times the same member", b'{"items":[],' + b",".join([b'"x":0'] * 5000) + b"}", {400}),
        ("64 KiB of blanks", b" " * 65_536, {400}),
        ("one byte too many", b" " * 65_537, {413}),
    ):
        yield Hostile(post(KEYED, body), expected, name)
    for name, length in (("a body of 100 MB", 100 * 1024 * 1024),):
        head = b"POST /api/order HTTP/1.1\r\nHost: a\r\n" + KEYED
        yield Hostile(head + b"Content-Length: %d\r\n\r\n" % length, {413}, name, endless=b"x" * 65_536)
        yield Hostile(head + b"Transfer-Encoding: chunked\r\n\r\n", {413}, name + " in chunks", endless=b"ffff\r\n" + b" " * 65_535 + b"\r\n")
        unkeyed = b"POST /api/order HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length
        yield Hostile(unkeyed, {401}, name + " without a key", endless=b"x" * 65_536)
    get = b"GET /livez HTTP/1.1\r\nHost: a\r\n"
    yield Hostile(get + b"X: 1\r\n" * 90 + b"\r\n", {200}, "90 headers")
    yield Hostile(get + b"X: 1\r\n" * 1000 + b"\r\n", {400, 431}, "1,000 headers")
    yield Hostile(get + b"X: " + b"a" * 60_000 + b"\r\n\r\n", {200, 400, 431}, "a header of 60,000 bytes")
    yield Hostile(get + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n", {400, 431}, "a header of 1,000,000 bytes")
    yield Hostile(get + b"a" * 1_000_000 + b": 1\r\n\r\n", {400, 431}, "a header's name of 1,000,000 bytes")
    yield Hostile(get + b"X-Request-Id: " + b"a" * 60_000 + b"\r\n\r\n", {200, 400, 431}, "a request id of 60,000 bytes")
    yield Hostile(get + b"X-Forwarded-For: " + b"1.2.3.4, " * 6000 + b"\r\n\r\n", {200, 400, 431}, "6,000 hops")
    yield Hostile(b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", {404, 414, 431, 400}, "a path of 60,000 bytes")
    yield Hostile(b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", {400, 414, 431}, "a path of 1,000,000 bytes")
    yield Hostile(b"GET /api/product?q=" + b"%41" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", {200, 400, 404, 414, 431}, "a long query")
    yield Hostile(b"A" * 1_000_000 + b" / HTTP/1.1\r\nHost: a\r\n\r\n", {400, 431}, "a method of 1,000,000 bytes")
    key = b"POST /api/order HTTP/1.1\r\nHost: a\r\napi_key: " + b"k" * 60_000 + b"\r\nContent-Type: application/json\r\n"
    yield Hostile(key + b"Content-Length: 2\r\n\r\n{}", {403, 400, 431}, "an API key of 60,000 bytes")
    for length, expected in ((255, {200}), (256, {400}), (10_000, {400})):
        keyed = KEYED + b"Idempotency-Key: " + b"k" * length + b"\r\n"
        yield Hostile(post(keyed, GOOD), expected, f"an idempotency key of {length} bytes")


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


def smuggling() -> Iterator[Hostile]:
    """One request, or two? A server that leaves it to the one before it to say must refuse."""
    start = b"POST /api/order/quote HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    end = b"\r\n\r\n0\r\n\r\n" + SMUGGLED
    for name, headers in (
        ("CL.TE", b"Content-Length: %d\r\nTransfer-Encoding: chunked" % (5 + len(SMUGGLED))),
        ("TE.CL", b"Transfer-Encoding: chunked\r\nContent-Length: 5"),
        ("TE.TE", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x"),
        ("TE blank", b"Transfer-Encoding : chunked\r\nContent-Length: 5"),
        ("TE tab", b"Transfer-Encoding:\tchunked\r\nContent-Length: 5"),
        ("TE folded", b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5"),
        ("TE vertical tab", b"Transfer-Encoding: \x0bchunked\r\nContent-Length: 5"),
        ("TE quoted", b'Transfer-Encoding: "chunked"\r\nContent-Length: 5'),
        ("TE list", b"Transfer-Encoding: identity, chunked\r\nContent-Length: 5"),
        ("TE case", b"Transfer-Encoding: ChUnKeD\r\nContent-Length: 5"),
        ("CL.CL", b"Content-Length: 5\r\nContent-Length: %d" % (5 + len(SMUGGLED))),
        ("CL list", b"Content-Length: 5, %d" % (5 + len(SMUGGLED))),
        ("CL plus", b"Content-Length: +5"),
        ("CL bare LF", b"Content-Length: 5\nTransfer-Encoding: chunked"),
        ("CL bare CR", b"Content-Length: 5\rTransfer-Encoding: chunked"),
        ("name with NUL", b"Content-Length: 5\r\nTransfer-Encoding\x00: chunked"),
    ):
        yield Hostile(start + headers + end, {400}, f"smuggling, {name}")


def injecting() -> Iterator[Hostile]:
    """A second header within one that comes back, or goes to the log. Its end is taken for the end of a line, or refused."""
    get = b"GET /livez HTTP/1.1\r\nHost: a\r\n"
    ends = (b"\r\n", b"\n", b"\r", b"\r\n ", b"\r\r\n", b"\n\r", b"\x00\r\n", b"\x0b", b"\x85", b"\xc4\x8d\xc4\x8a", b"%0d%0a", b"\\r\\n")
    for name in (b"X-Request-Id", b"traceparent", b"Origin", b"Idempotency-Key", b"X-Forwarded-For", b"User-Agent"):
        for end in ends:
            yield Hostile(get + name + b": a" + end + b"Set-Cookie: a=b\r\n\r\n", {200, 400}, f"injecting, {name!r} {end!r}")


def generated(seed: int, count: int) -> Iterator[Hostile]:
    """Good requests, each with something done to it."""
    rng = random.Random(seed)
    orders = [GOOD, b'{"items":[{"productId":"3","quantity":2},{"productId":"7","quantity":10}],"couponCode":"SAVE10"}']
    good = [
        *(post(KEYED, body) for body in orders),
        post(KEYED + b"Idempotency-Key: generated\r\n", GOOD),
        b"POST /api/order/quote HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(GOOD), GOOD),
        b"POST /api/order HTTP/1.1\r\nHost: a\r\n" + KEYED + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD),
        b"GET /api/product?category=Waffle HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n",
        b"GET /api/product/1 HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"a\"\r\n\r\n",
        b"GET /api/order?limit=3 HTTP/1.1\r\nHost: a\r\napi_key: apitest\r\n\r\n",
        b"OPTIONS /api/order HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nAccess-Control-Request-Method: POST\r\n\r\n",
    ]
    pieces = [
        b"\x00", b"\xff", b"\r\n", b"\n", b"\r", b"\t", b" ", b":", b",", b'"', b"\\", b"{", b"}", b"[", b"]", b"%00", b"%2e%2e/",
        b"-1", b"0", b"9223372036854775808", b"1e999", b"NaN", b"null", b"chunked", b"Content-Length: 3\r\n", b"\xed\xa0\x80",
        b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"Connection: upgrade\r\nUpgrade: websocket\r\n", b"A" * 5000,
    ]  # fmt: skip
    for number in range(count):
        request = bytearray(rng.choice(good))
        for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
            at = rng.randrange(len(request) + 1)
            match rng.randrange(6):
                case 0:
                    request[at : at + 1] = bytes([rng.randrange(256)])
                case 1:
                    request[at:at] = rng.choice(pieces)
                case 2:
                    del request[at : at + rng.randrange(1, 20)]
                case 3:
                    request[at:at] = request[at : at + rng.randrange(1, 60)]
                case 4:
                    if numbers := list(re.finditer(rb"\d+", request)):
                        found = rng.choice(numbers)
                        request[found.start() : found.end()] = rng.choice((b"-1", b"0", b"1e308", b"65536", b"9" * 25, b"0.1", b""))
                case _:
                    if rng.randrange(8) == 0:
                        del request[at:]
            if not request:
                request = bytearray(b"\r\n")
        yield Hostile(bytes(request), ANY | {0}, f"generated {number}")


async def answer(port: int, hostile: Hostile, seconds: float = 15) -> tuple[list[int], bytes]:
    """Sends it, then the end; the statuses of all that was answered, and what was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = bytearray()

    async def receive() -> None:
        while data := await reader.read(1 << 16):
            received.extend(data)

    async def send() -> None:
        writer.write(hostile.bytes)
        await writer.drain()
        if hostile.endless:
            for _ in range(100 * 1024 * 1024 // len(hostile.endless)):
                writer.write(hostile.endless)
                await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    sending = asyncio.create_task(send())
    try:
        async with asyncio.timeout(seconds):
            await receive()
    except ConnectionError:
        # Whoever still sends what nobody wants is cut off.
        pass
    except TimeoutError:
        return [-1], bytes(received)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()
    statuses = [int(status) for status in re.findall(rb"(?:^|(?<=[\r\n}]))HTTP/1\.[01] (\d{3})", bytes(received))]
    return [status for status in statuses if status != 100], bytes(received)
