"""The local stack without containers: API, Prometheus, Alertmanager, and somebody who gets the messages."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, urlsplit

import yaml
from rules import MONITORING, write_faster

PROGRAMS = Path(os.environ["ORDER_FOOD_PROGRAMS"])
# Names and namespaces under which the API is scraped: that of the committed settings, and another release in a cluster.
INSTALLATIONS = [("order-food", "default"), ("lunch-order-food", "shop")]
ORDER = {"items": [{"productId": "1", "quantity": 2}]}


def wait_until(condition: Callable[[], object], seconds: float, what: str, pause: float = 0.1) -> object:
    """What the condition returns as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(pause)
    return result


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch(url: str) -> str | None:
    """An answer's body, or nothing where there is none yet."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()
    except OSError:
        return None


class Process:
    """A program that is stopped with the test."""

    def __init__(self, folder: Path, name: str, *command: object, **environment: object) -> None:
        self.log = folder / f"{name}.log"
        settings = {"PATH": os.environ["PATH"], **{key: str(value) for key, value in environment.items()}}
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [str(part) for part in command], env=settings, cwd=folder, stdout=log, stderr=subprocess.STDOUT
            )

    def stop(self, with_signal: int = signal.SIGTERM) -> None:
        if self.running.poll() is None:
            self.running.send_signal(with_signal)
        try:
            self.running.wait(30)
        except subprocess.TimeoutExpired:
            self.running.kill()
            raise


class Api(Process):
    """A process of the API."""

    def __init__(self, folder: Path, name: str, database: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__(
            folder, name, PROGRAMS / "order-food",
            DATABASE_URL=database, SERVER_PORT=self.port, ENABLE_FAULT_INJECTION="true", SHUTDOWN_TIMEOUT_SECONDS=2,
        )  # fmt: skip
        try:
            wait_until(lambda: fetch(f"{self.url}/readyz"), 20, f"{name} is ready")
        except AssertionError:
            self.stop(signal.SIGKILL)
            raise

    def ask(self, method: str, path: str, body: object = None, key: str = "apitest") -> int:
        """The status of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            headers = {"X-API-Key": key, "Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def order(self, **more: object) -> int:
        """The status of an order."""
        return self.ask("POST", "/api/order", ORDER | more)


class Receiver:
    """Stands in for people who read their mail: Alertmanager posts to it."""

    def __init__(self) -> None:
        self.messages: list[dict] = []
        messages = self.messages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                messages.append({"receiver": urlsplit(self.path).path[1:], "alerts": body["alerts"]})
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def told(self, alert: str, status: str = "firing") -> str | None:
        """Who was told of an alert."""
        for message in list(self.messages):
            for each in message["alerts"]:
                if each["labels"]["alertname"] == alert and each["status"] == status:
                    return message["receiver"]
        return None

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Stack:
    """Prometheus and Alertmanager with the committed settings, but for times, addresses, and mails that become posts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.receiver = Receiver()
        self.targets = folder / "order-food.yaml"
        self.scrape()
        alertmanager_port = free_port()
        (folder / "alertmanagers.yaml").write_text(json.dumps([{"targets": [f"127.0.0.1:{alertmanager_port}"]}]))
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(self.alertmanager_settings()))
        (folder / "prometheus.yml").write_text(yaml.safe_dump(self.prometheus_settings()))
        self.alertmanager_url = f"http://127.0.0.1:{alertmanager_port}"
        self.alertmanager = Process(
            folder, "alertmanager", "prometheus-alertmanager",
            f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/alertmanager",
            f"--web.listen-address=127.0.0.1:{alertmanager_port}", "--cluster.listen-address=",
        )  # fmt: skip
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.prometheus = Process(
            folder, "prometheus", "prometheus",
            f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/prometheus",
            f"--web.listen-address=127.0.0.1:{port}",
        )  # fmt: skip
        wait_until(lambda: fetch(f"{self.alertmanager_url}/-/ready"), 30, "Alertmanager is ready")
        wait_until(lambda: fetch(f"{self.url}/-/ready"), 30, "Prometheus is ready")

    def alertmanager_settings(self) -> dict:
        settings = yaml.safe_load((MONITORING / "alertmanager.yml").read_text())
        routes = [settings["route"], *settings["route"]["routes"]]
        for route in routes:
            route |= {key: "1s" for key in ("group_wait", "group_interval") if key in route}
        for receiver in settings["receivers"]:
            del receiver["email_configs"]
            receiver["webhook_configs"] = [{"url": f"http://127.0.0.1:{self.receiver.port}/{receiver['name']}"}]
        return settings

    def prometheus_settings(self) -> dict:
        settings = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
        settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        settings["rule_files"] = [str(write_faster(self.folder))]
        settings["alerting"]["alertmanagers"][0]["file_sd_configs"][0]["files"] = [str(self.folder / "alertmanagers.yaml")]
        [job] = [job for job in settings["scrape_configs"] if job["job_name"] == "order-food"]
        job["file_sd_configs"][0]["files"] = [str(self.targets)]
        _, (name, namespace) = INSTALLATIONS
        other = {"job_name": name, "relabel_configs": [{"target_label": "namespace", "replacement": namespace}]}
        settings["scrape_configs"] = [job, job | other]
        return settings

    def scrape(self, *apis: Api) -> None:
        """Has these processes scraped."""
        written = self.targets.with_suffix(".tmp.yaml")
        written.write_text(json.dumps([{"targets": [f"127.0.0.1:{api.port}" for api in apis]}]))
        written.rename(self.targets)

    def query(self, expression: str) -> list[dict]:
        """The series of an expression, now."""
        answer = fetch(f"{self.url}/api/v1/query?query={quote(expression)}")
        return json.loads(answer)["data"]["result"] if answer else []

    def firing(self, alert: str) -> list[dict]:
        """What fires of an alert, with labels and annotations."""
        found = json.loads(fetch(f"{self.url}/api/v1/alerts") or '{"data": {"alerts": []}}')["data"]["alerts"]
        return [each for each in found if each["state"] == "firing" and each["labels"]["alertname"] == alert]

    def held_back(self) -> set[str]:
        """Alerts that Alertmanager says nothing about, as another one says it."""
        found = json.loads(fetch(f"{self.alertmanager_url}/api/v2/alerts") or "[]")
        return {each["labels"]["alertname"] for each in found if each["status"]["inhibitedBy"]}

    def close(self) -> None:
        self.prometheus.stop()
        self.alertmanager.stop()
        self.receiver.close()
