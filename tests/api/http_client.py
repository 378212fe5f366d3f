"""HTTP without a library's help: what is sent is exactly what the test says."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from http.client import HTTPResponse

from server import Server

SECONDS = 10


@dataclass
class Answer:
    """A response, as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> object:
        return json.loads(self.body)


class Connection:
    """One TCP connection, on which several requests may be sent."""

    def __init__(self, server: Server) -> None:
        self._socket = socket.create_connection((server.host, server.port), timeout=SECONDS)
        self._host = f"{server.host}:{server.port}"

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def request(self, method: str, target: str, headers: list[tuple[str, str]] | None = None, body: bytes = b"") -> Answer:
        """Sends a request with a Host, these headers, and a Content-Length where there is a body."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._host}", *(f"{name}: {value}" for name, value in headers or [])]
        names = {name.lower() for name, _ in headers or []}
        if body and not names & {"content-length", "transfer-encoding"}:
            lines.append(f"Content-Length: {len(body)}")
        return self.raw("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body, method)

    def is_closed(self) -> bool:
        """Whether the server has hung up; waits for it to."""
        try:
            return self._socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def raw(self, message: bytes, method: str) -> Answer:
        """Sends these bytes, and reads the answer to a request with that method."""
        self._socket.sendall(message)
        response = HTTPResponse(self._socket, method=method)
        response.begin()
        body = response.read()
        headers: dict[str, str] = {}
        for name, value in response.getheaders():
            name = name.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return Answer(response.status, headers, body)


def ask(server: Server, method: str, target: str, headers: list[tuple[str, str]] | None = None, body: bytes = b"") -> Answer:
    """One request on a connection of its own."""
    with Connection(server) as connection:
        return connection.request(method, target, headers, body)


def assert_is_error(answer: Answer, status: int, reason: str) -> None:
    """Errors of every kind have one shape, and nobody keeps them."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json
    assert isinstance(body, dict)
    assert set(body) == {"code", "type", "message", "reason", "errors", "traceId"}
    assert (body["code"], body["type"], body["reason"]) == (status, "error", reason), body
    assert len(body["traceId"]) == 32
