"""A network on which answers get lost, though the requests arrived."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from server import Server

SECONDS = 10
Headers = list[tuple[str, str]]
# As a proxy would say it, not the API.
BUSY = b"<html>502 Bad Gateway</html>"


class LossyProxy:
    """Passes everything on. Of the answers to POST it loses the first, and replaces the second."""

    def __init__(self, server: Server) -> None:
        self.keys: list[str | None] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._pass(b"", self._answer)

            def do_POST(self) -> None:
                proxy.keys.append(self.headers["Idempotency-Key"])
                body = self.rfile.read(int(self.headers["Content-Length"]))
                attempt = len(proxy.keys)

                def answer(status: int, headers: Headers, said: bytes) -> None:
                    if attempt == 1:
                        self.close_connection = True
                    elif attempt == 2:
                        self._answer(502, [("Content-Type", "text/html"), ("Content-Length", str(len(BUSY)))], BUSY)
                    else:
                        self._answer(status, headers, said)

                self._pass(body, answer)

            def _pass(self, body: bytes, answer: Callable[[int, Headers, bytes], None]) -> None:
                upstream = HTTPConnection(server.host, server.port, timeout=SECONDS)
                upstream.request(self.command, self.path, body or None, dict(self.headers.items()))
                response = upstream.getresponse()
                said = response.read()
                upstream.close()
                answer(response.status, response.getheaders(), said)

            def _answer(self, status: int, headers: Headers, body: bytes) -> None:
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(SECONDS)
