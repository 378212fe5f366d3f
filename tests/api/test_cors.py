"""Pages of other origins (Fetch, CORS protocol), seen from outside."""

from __future__ import annotations

from pathlib import Path

import pytest
from http_client import ask, assert_is_error
from server import Server

ORIGIN = ("Origin", "https://shop.example")


def test_pages_may_call(server: Server) -> None:
    wanted = "api_key, x-api-key, idempotency-key, traceparent, x-request-id, content-type, if-none-match"
    asked = [ORIGIN, ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", wanted)]
    preflight = ask(server, "OPTIONS", "/api/order", asked)
    assert preflight.status in (200, 204)
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "POST" in preflight.headers["access-control-allow-methods"].split(", ")
    assert set(wanted.split(", ")) <= set(preflight.headers["access-control-allow-headers"].lower().split(", "))
    assert int(preflight.headers["access-control-max-age"]) > 0
    assert "access-control-allow-credentials" not in preflight.headers
    for path, status in [("/api/product", 200), ("/api/order", 401), ("/nope", 404)]:
        answer = ask(server, "GET", path, [ORIGIN])
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, "*")
        exposed = set(answer.headers["access-control-expose-headers"].lower().split(", "))
        assert {"link", "etag", "retry-after", "ratelimit", "ratelimit-policy", "idempotent-replayed", "x-request-id"} <= exposed


@pytest.mark.parametrize("headers", ["x-nonsense", "content-type,baggage,sentry-trace", "X-Datadog-Trace-Id"])
def test_pages_may_send_what_instrumentation_adds(server: Server, headers: str) -> None:
    asked = [("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", headers)]
    answer = ask(server, "OPTIONS", "/api/order", [ORIGIN, *asked])
    assert answer.status == 200
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert all(name in allowed for name in headers.lower().split(","))


@pytest.mark.parametrize("asked", [[("Access-Control-Request-Method", method)] for method in ("DELETE", "PUT", "BREW")])
def test_pages_may_not_do_what_nobody_may(server: Server, asked: list) -> None:
    answer = ask(server, "OPTIONS", "/api/order", [ORIGIN, *asked])
    assert_is_error(answer, 400, "bad_request")
    assert answer.json["message"] != "bad request"
    assert {"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"} <= set(answer.headers["vary"].split(", "))


def test_only_listed_pages_may_call_where_there_is_a_list(tmp_path: Path) -> None:
    running = Server("sqlite", tmp_path, {"CORS_ALLOWED_ORIGINS": "https://shop.example"})
    try:
        assert ask(running, "GET", "/livez", [ORIGIN]).headers["access-control-allow-origin"] == "https://shop.example"
        other = ask(running, "GET", "/livez", [("Origin", "https://other.example")])
        assert "access-control-allow-origin" not in other.headers
        assert "Origin" in other.headers["vary"]
    finally:
        running.close()
