"""Methods, paths, bodies, refusals and connections as HTTP has them (RFC 9110 and 9112), seen from outside."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from http_client import Connection, ask, assert_is_error
from server import KEY, Server

JSON = ("Content-Type", "application/json")
CART = b'{"items":[{"productId":"1","quantity":1}]}'
KEYED = ("api_key", KEY)


# Method, target, headers, body; status and reason.
REFUSED = [
    ("GET", "/nope", [], b"", 404, "not_found"),
    ("GET", "/API/product", [], b"", 404, "not_found"),
    ("GET", "//api/product", [], b"", 404, "not_found"),
    ("GET", "/api/../api/product", [], b"", 404, "not_found"),
    # Trailing slashes name other resources, of which there are none.
    ("GET", "/api/product/", [], b"", 404, "not_found"),
    ("GET", "/api/product/1/", [], b"", 404, "not_found"),
    ("GET", "/livez/", [], b"", 404, "not_found"),
    ("POST", "/api/order/", [JSON, KEYED], CART, 404, "not_found"),
    ("GET", "/api/product/4711", [], b"", 404, "not_found"),
    ("GET", "/api/product/a%20b", [], b"", 400, "invalid_id"),
    ("GET", "/api/product/1%2F", [], b"", 400, "invalid_id"),
    ("GET", "/api/product/%zz", [], b"", 400, "invalid_id"),
    ("GET", "/api/product/%ff", [], b"", 400, "invalid_id"),
    ("GET", "/api/product/%2B1", [], b"", 400, "invalid_id"),
    ("GET", "/api/product?q=a&q=b", [], b"", 400, "validation_failed"),
    ("GET", "/api/order?limit=1&limit=2", [KEYED], b"", 400, "validation_failed"),
    ("GET", "/api/order?limit=0", [KEYED], b"", 400, "validation_failed"),
    ("GET", "/api/order", [], b"", 401, "missing_api_key"),
    ("GET", "/api/order", [("api_key", "wrong")], b"", 403, "invalid_api_key"),
    ("GET", "/api/order", [KEYED, ("X-API-Key", "other")], b"", 400, "bad_request"),
    ("GET", "/api/order/nonsense", [KEYED], b"", 400, "invalid_id"),
    ("POST", "/api/order", [JSON], CART, 401, "missing_api_key"),
    ("POST", "/api/order", [JSON, KEYED, ("Idempotency-Key", "a b")], CART, 400, "idempotency_key_invalid"),
    ("POST", "/api/order", [JSON, KEYED, ("Idempotency-Key", "a"), ("Idempotency-Key", "b")], CART, 400, "idempotency_key_invalid"),
    ("GET", "/api/product", [("Accept", "application/xml")], b"", 406, "bad_request"),
    ("GET", "/api/order", [KEYED, ("Accept", "application/json;q=0, */*")], b"", 406, "bad_request"),
    ("POST", "/api/order", [JSON, KEYED, ("Accept", "text/html")], CART, 406, "bad_request"),
    ("POST", "/api/order/quote", [JSON], b"{", 400, "invalid_json"),
    ("POST", "/api/order/quote", [JSON], b"", 400, "invalid_json"),
    ("POST", "/api/order/quote", [JSON], b"\xef\xbb\xbf", 400, "invalid_json"),
    ("POST", "/api/order/quote", [JSON], b"{}", 400, "validation_failed"),
    ("POST", "/api/order/quote", [JSON], b" " * 65537, 413, "payload_too_large"),
    ("POST", "/api/order/quote", [], CART, 415, "unsupported_media_type"),
    ("POST", "/api/order/quote", [("Content-Type", "text/plain")], CART, 415, "unsupported_media_type"),
    ("POST", "/api/order/quote", [("Content-Type", "application/problem+json")], CART, 415, "unsupported_media_type"),
    ("POST", "/api/order/quote", [("Content-Type", "application/json; charset=latin-1")], CART, 415, "unsupported_media_type"),
    ("POST", "/api/order/quote", [JSON, ("Content-Encoding", "gzip")], gzip.compress(CART), 415, "unsupported_media_type"),
]


@pytest.mark.parametrize(
    ("method", "target", "headers", "body", "status", "reason"), REFUSED, ids=(f"{number}-{case[5]}" for number, case in enumerate(REFUSED))
)
def test_refusals_have_one_shape(
    each_server: Server, method: str, target: str, headers: list, body: bytes, status: int, reason: str
) -> None:
    assert_is_error(ask(each_server, method, target, headers, body), status, reason)


@pytest.mark.parametrize(
    ("content_type", "target"),
    [
        ("application/json", "/api/order/quote"),
        ("Application/JSON;charset=UTF-8", "/api/order/quote"),
        ('application/json; charset="utf-8"', "/api/order/quote"),
        ("application/json; profile=x", "/api/order/quote"),
        ("application/json", "/api/order/%71uote"),
    ],
)
def test_json_is_read_however_it_is_announced(server: Server, content_type: str, target: str) -> None:
    answer = ask(server, "POST", target, [("Content-Type", content_type)], CART)
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")


def test_chunked_bodies_are_read_and_held_to_the_same_size(server: Server) -> None:
    chunked = [JSON, ("Transfer-Encoding", "chunked")]
    chunk = b"%x\r\n%s\r\n" % (len(CART), CART)
    assert ask(server, "POST", "/api/order/quote", chunked, chunk + b"0\r\n\r\n").status == 200
    blank = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    assert_is_error(ask(server, "POST", "/api/order/quote", chunked, blank * 5), 413, "payload_too_large")


def test_percent_encoded_paths_are_the_same_paths(server: Server) -> None:
    plain, coded = (ask(server, "GET", f"/api/product/{id}") for id in ("1", "%31"))
    assert plain.status == coded.status == 200
    assert plain.body == coded.body and plain.headers["etag"] == coded.headers["etag"]


PATHS = [
    ("/", "GET, HEAD, OPTIONS"),
    ("/api/product", "GET, HEAD, OPTIONS"),
    ("/api/product/1", "GET, HEAD, OPTIONS"),
    ("/api/order", "GET, HEAD, OPTIONS, POST"),
    ("/api/order/01990a4c-5a00-7000-8000-000000000001", "GET, HEAD, OPTIONS"),
    ("/api/order/quote", "OPTIONS, POST"),
    *((path, "GET, HEAD, OPTIONS") for path in ("/livez", "/readyz", "/healthcheck", "/health", "/metrics")),
    *((path, "GET, HEAD, OPTIONS") for path in ("/openapi.json", "/openapi.yaml", "/docs")),
]


@pytest.mark.parametrize(("path", "allow"), PATHS)
def test_every_path_knows_its_methods(server: Server, path: str, allow: str) -> None:
    options = ask(server, "OPTIONS", path)
    assert (options.status, options.headers["allow"], options.body) == (204, allow, b"")
    for method in ("DELETE", "PATCH", "TRACE", "BREW", "get"):
        answer = ask(server, method, path)
        assert_is_error(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == allow


def test_the_server_as_a_whole_has_options(server: Server) -> None:
    answer = ask(server, "OPTIONS", "*")
    assert (answer.status, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")


@pytest.mark.parametrize("path", [path for path, allow in PATHS if "HEAD" in allow] + ["/nope", "/api/product/0"])
def test_head_is_get_without_the_body(server: Server, path: str) -> None:
    changing = {"x-request-id", "date", "content-length"} if path == "/metrics" else {"x-request-id", "date"}
    with Connection(server) as connection:
        get = connection.request("GET", path, [KEYED])
        head = connection.request("HEAD", path, [KEYED])
    assert (head.status, head.body) == (get.status, b"")
    assert int(head.headers["content-length"]) > 0
    expose = "access-control-expose-headers"
    for answer in (get, head):  # in no order
        answer.headers[expose] = ",".join(sorted(answer.headers[expose].split(", ")))
    assert {name: head.headers[name] for name in head.headers.keys() - changing} == {
        name: get.headers[name] for name in get.headers.keys() - changing
    }


def test_connections_are_kept_and_closed_as_asked(server: Server) -> None:
    with Connection(server) as connection:
        for _ in range(20):
            assert connection.request("GET", "/livez").status == 200
        # An error is no reason to hang up.
        assert connection.request("POST", "/api/order/quote", [JSON], b"{}").status == 400
        assert connection.request("GET", "/livez").status == 200
        last = connection.request("GET", "/livez", [("Connection", "close")])
        assert last.headers["connection"] == "close"
        assert connection.is_closed()
    with Connection(server) as connection:
        old = connection.raw(b"GET /livez HTTP/1.0\r\n\r\n", "GET")
        assert old.status == 200
        assert connection.is_closed()


# What is not HTTP, or could be read in two ways, gets a bare status and the end of the connection.
MALFORMED = [
    (b"GET /livez HTTP/1.1\r\n\r\n", 400),
    (b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    (b"\x00\x01garbage\r\n\r\n", 400),
    (b"GET /livez HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n", 400),
    (b"GET /livez HTTP/1.1\r\nHost: a\r\nX-A: a\r\n b\r\n\r\n", 400),
    (b"POST /api/order/quote HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"GET /livez HTTP/1.1\r\nHost: a\r\n" + b"X-A: a\r\n" * 200 + b"\r\n", 431),
]


@pytest.mark.parametrize(("message", "status"), MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_not_http_ends_the_connection(server: Server, message: bytes, status: int) -> None:
    with Connection(server) as connection:
        answer = connection.raw(message, "GET")
        assert (answer.status, answer.headers["connection"], answer.body) == (status, "close", b"")
        assert connection.is_closed()


def test_who_does_not_finish_asking_is_not_waited_for(server: Server) -> None:
    with Connection(server) as connection:
        answer = connection.raw(b"GET /livez HTTP/1.1\r\nHost: a\r\n", "GET")
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert connection.is_closed()


def test_requests_are_named_and_traced(server: Server) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = ask(server, "GET", "/nope", [("X-Request-Id", "till-4-0815"), ("traceparent", f"00-{trace}-00f067aa0ba902b7-01")])
    assert answer.headers["x-request-id"] == "till-4-0815"
    assert answer.json["traceId"] == trace


def test_limits_are_told_before_and_when_they_are_reached(tmp_path: Path) -> None:
    running = Server("sqlite", tmp_path, {"RATE_LIMIT_PER_SECOND": "1"})
    try:
        answers = [ask(running, "GET", "/api/product/1") for _ in range(4)]
        assert answers[0].status == 200
        for answer in answers:
            assert answer.headers["ratelimit-policy"] == '"address";q=2;w=2'
            assert answer.headers["ratelimit"].startswith('"address";r=')
        assert_is_error(answers[-1], 429, "rate_limited")
        assert int(answers[-1].headers["retry-after"]) >= 1
    finally:
        running.close()


def test_the_welcome_is_for_programs_and_for_people(server: Server) -> None:
    welcome = ask(server, "GET", "/", [("Accept", "application/json")])
    assert welcome.headers["content-type"] == "application/json"
    links = json.loads(welcome.body)["links"]
    assert {"/api/product", "/openapi.json", "/docs"} <= set(links.values() if isinstance(links, dict) else links)
    page = ask(server, "GET", "/", [("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")])
    assert page.headers["content-type"].replace(" ", "").lower() == "text/html;charset=utf-8"
    assert b'href="/docs"' in page.body
    for answer in (welcome, page):
        assert "Accept" in answer.headers["vary"].split(", ")
    assert ask(server, "GET", "/").headers["content-type"] == "application/json"
