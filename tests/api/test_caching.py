"""What may be kept, by whom, in which coding (RFC 9110 and 9111), seen from outside."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import brotli
import pytest
from http_client import ask
from server import KEY, Server

KEYED = ("api_key", KEY)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose menu is worth compressing."""
    data = tmp_path_factory.mktemp("data")
    rows = (f"{number},Dish number {number},9.99,Soup,,,,\n" for number in range(1, 101))
    header = "id,name,price,category,image_thumbnail,image_mobile,image_tablet,image_desktop\n"
    (data / "products.csv").write_text(header + "".join(rows))
    running = Server("sqlite", tmp_path_factory.mktemp("large"), {"DATA_DIR": str(data)})
    yield running
    running.close()


CACHED = [
    "/api/product",
    "/api/product/1",
    "/api/product?category=Waffle",
    "/openapi.json",
    "/openapi.yaml",
    "/docs",
    "/docs/swagger-ui-bundle.js",
]


@pytest.mark.parametrize("path", CACHED)
def test_what_is_known_is_not_sent_again(server: Server, path: str) -> None:
    first = ask(server, "GET", path)
    tag = first.headers["etag"]
    assert first.status == 200 and first.headers["cache-control"] == "no-cache"
    assert "Accept-Encoding" in first.headers["vary"]
    for method, known in [("GET", tag), ("HEAD", tag), ("GET", f"W/{tag}"), ("GET", f'"x", {tag}'), ("GET", "*")]:
        again = ask(server, method, path, [("If-None-Match", known)])
        assert (again.status, again.body) == (304, b""), known
        for name in ("etag", "cache-control", "vary"):
            assert again.headers[name] == first.headers[name]
        assert "content-type" not in again.headers
    for unknown in ('"x"', tag.strip('"'), '""'):
        assert ask(server, "GET", path, [("If-None-Match", unknown)]).status == 200, unknown


def test_tags_differ_where_bytes_do(server: Server) -> None:
    tags = [ask(server, "GET", path).headers["etag"] for path in CACHED]
    assert len(set(tags)) == len(tags)


@pytest.mark.parametrize(
    "path", ["/api/order", "/api/order/01990a4c-5a00-7000-8000-000000000001", "/livez", "/readyz", "/health", "/metrics"]
)
def test_nobody_keeps_what_is_private_or_of_the_moment(server: Server, path: str) -> None:
    answer = ask(server, "GET", path, [KEYED])
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("deflate, zstd", None),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("br", "br"),
        ("gzip, deflate, br", "br"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("gzip;q=0, br;q=0", None),
        ("identity, gzip;q=0.5", None),
        ("*", "br"),
        ("br;q=0, *", "gzip"),
        ("gzip;q=0, br;q=0, *;q=0.5", None),
        ("gzip; Q=0", None),
    ],
)
def test_clients_choose_the_coding(large: Server, accepted: str | None, coding: str | None) -> None:
    plain = ask(large, "GET", "/api/product")
    headers = [] if accepted is None else [("Accept-Encoding", accepted)]
    answer = ask(large, "GET", "/api/product", headers)
    assert answer.status == 200
    assert answer.headers.get("content-encoding") == coding
    decode = {None: bytes, "gzip": gzip.decompress, "br": brotli.decompress}[coding]
    assert decode(answer.body) == plain.body
    assert (answer.headers["etag"] == plain.headers["etag"]) == (coding is None)
    assert "Accept-Encoding" in answer.headers["vary"]
    known = ("If-None-Match", answer.headers["etag"])
    assert ask(large, "GET", "/api/product", [*headers, known]).status == 304
    # Who has the bytes of one coding does not have those of another.
    assert ask(large, "GET", "/api/product", [known]).status == (200 if coding else 304)
