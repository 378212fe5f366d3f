"""What a node of a cluster does, as far as podman can: pods from the chart's templates, on a network of their own."""

from __future__ import annotations

import asyncio
import base64
import copy
import http.client
import ipaddress
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import yaml

REPOSITORY = Path(__file__).parents[2]
IMAGES = ("order-food", "database-migration", "database-load")
CHART = yaml.safe_load((REPOSITORY / "helm/order-food/Chart.yaml").read_text())
# The tag that the chart asks for.
VERSION = CHART["appVersion"]
ORDER = {"items": [{"productId": "1", "quantity": 2}, {"productId": "3", "quantity": 1}]}


def wait_until(condition: Callable[[], object], seconds: float, what: str, pause: float = 0.02) -> object:
    """What the condition returns as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(pause)
    return result


def render(values: dict) -> list[dict]:
    """The objects of the chart."""
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("render.py")], input=json.dumps(values), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def pod_template(objects: list[dict], kind: str) -> dict:
    """The template of the pods of the only object of a kind."""
    [found] = [each for each in objects if each["kind"] == kind]
    spec = found["spec"]
    return (spec["jobTemplate"]["spec"] if kind == "CronJob" else spec)["template"]


class Podman:
    """podman and buildah with storage, network and settings that are gone with the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "containers.conf").write_text(
            # Where the runtime's own defaults do not work: inside other containers, and without systemd.
            "[containers]\n"
            'default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n'
            "[engine]\n"
            'runtime = "runc"\n'
            'cgroup_manager = "cgroupfs"\n'
            'events_logger = "file"\n'
            "[network]\n"
            f'network_config_dir = "{folder}/networks"\n'
        )
        (folder / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/storage"\nrunroot = "{folder}/run"\n'
        )
        self.environment = {
            **os.environ,
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        }
        (folder / "networks").mkdir()
        # The name servers of all networks on the machine share a folder.
        self.network = f"order-food-{uuid.uuid4().hex[:8]}"
        self("network", "create", self.network)
        [subnet] = json.loads(self("network", "inspect", self.network))[0]["subnets"]
        self.gateway = subnet["gateway"]
        # Addresses far from those that podman gives out itself.
        self.addresses = itertools.islice(ipaddress.ip_network(subnet["subnet"]).hosts(), 99, None)

    def run(self, *command: object, **options: object) -> subprocess.CompletedProcess:
        """podman with these arguments; waits for it and keeps what it says."""
        return subprocess.run(
            ["podman", *map(str, command)], env=self.environment, capture_output=True, text=True, timeout=120, **options
        )

    def __call__(self, *command: object) -> str:
        """The same, and it must succeed."""
        done = self.run(*command)
        assert done.returncode == 0, f"podman {command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def build(self, programs: Path, tag: str = VERSION, **environment: str) -> dict[str, str]:
        """Builds the images from these programs; their ids by name."""
        done = subprocess.run(
            [REPOSITORY / "scripts/build-images.sh", "--engine", "buildah", "--tag", tag, "--programs", programs],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert "HEALTHCHECK" not in done.stderr, "a warning of what the format has not"
        return {name: self("image", "inspect", "--format", "{{.Id}}", f"{name}:{tag}") for name in IMAGES}

    def inspect(self, container: str) -> dict:
        """All that podman knows about a container."""
        return json.loads(self("container", "inspect", container))[0]

    def close(self) -> None:
        """Ends and removes everything."""
        self.run("pod", "rm", "--all", "--force", "--time", "0")
        self.run("rm", "--all", "--force", "--time", "0")
        self.run("network", "rm", "--force", self.network)
        subprocess.run(["umount", "--recursive", self.folder / "storage/overlay"], stderr=subprocess.DEVNULL)
        shutil.rmtree(self.folder)


class Pod:
    """A pod made from a template of the chart."""

    def __init__(self, podman: Podman, name: str, objects: list[dict], kind: str, database_url: str) -> None:
        self.podman, self.name = podman, name
        self.address = str(next(podman.addresses))
        template = copy.deepcopy(pod_template(objects, kind))
        spec = template["spec"]
        self.grace = spec.get("terminationGracePeriodSeconds", 30)
        # podman starts init containers again and again unless the policy is Never, and removes them unless told so.
        spec["restartPolicy"] = "Never"
        metadata = {"name": name, "annotations": {"io.podman.annotations.init.container.type": "always"}}
        for container in spec["containers"]:
            # It would give the machine's port to the first pod that has it, and has nobody who probes.
            for key in ("ports", "startupProbe", "readinessProbe", "livenessProbe"):
                container.pop(key, None)
        secrets = {
            each["metadata"]["name"]: {key: base64.b64decode(value).decode() for key, value in each["data"].items()}
            for each in objects
            if each["kind"] == "Secret"
        }
        for volume in spec["volumes"]:
            if "emptyDir" in volume:
                # podman gives folders of the same name to all pods.
                self._rename(spec, volume, f"{name}-{volume['name']}")
            elif "secret" in volume:
                source = volume.pop("secret")
                content = {**secrets[source["secretName"]], "DATABASE_URL": database_url}
                volume["hostPath"] = {"path": str(self._secret(volume["name"], source, content)), "type": "Directory"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        configuration = [each for each in objects if each["kind"] == "ConfigMap"]
        self.file = podman.folder / f"{name}.json"
        self.file.write_text("\n---\n".join(json.dumps(each) for each in [*configuration, pod]))

    def _secret(self, name: str, source: dict, content: dict[str, str]) -> Path:
        """podman 4 cannot mount a key of a Secret: a folder as the kubelet makes it, for root and the pod's group."""
        folder = self.podman.folder / f"{self.name}-{name}"
        folder.mkdir()
        for item in source["items"]:
            file = folder / item["path"]
            file.write_text(content[item["key"]])
            os.chown(file, 0, 65532)
            file.chmod(source["defaultMode"])
        return folder

    @staticmethod
    def _rename(spec: dict, volume: dict, name: str) -> None:
        for container in spec.get("initContainers", []) + spec["containers"]:
            for mount in container["volumeMounts"]:
                if mount["name"] == volume["name"]:
                    mount["name"] = name
        volume["name"] = name

    def play(self) -> subprocess.CompletedProcess:
        """Starts the pod: the init containers, one after another, and if they succeed the others."""
        return self.podman.run("play", "kube", "--network", self.podman.network, "--ip", self.address, self.file)

    def start(self) -> Pod:
        """The same, and it must succeed."""
        done = self.play()
        assert done.returncode == 0, f"{done.stdout}{done.stderr}{self.logs()}"
        return self

    def ready_at(self, seconds: float = 30) -> float:
        """The time at which it was ready."""
        wait_until(lambda: status(self.address, "/readyz") == 200, seconds, f"{self.name} ready", pause=0.005)
        return time.time()

    def container(self, name: str) -> dict:
        """All that podman knows about one of its containers."""
        return self.podman.inspect(f"{self.name}-{name}")

    def span(self, name: str) -> tuple[float, float]:
        """When a container started and ended; 0 is not yet."""
        state = self.container(name)["State"]
        return moment(state["StartedAt"]), moment(state["FinishedAt"])

    def logs(self) -> str:
        """What all its containers said."""
        return "".join(
            f"--- {name}\n" + (done := self.podman.run("logs", f"{self.name}-{name}")).stdout + done.stderr
            for name in ("database-migration", "database-load", "order-food")
        )

    def terminate(self, name: str = "order-food") -> tuple[int, float]:
        """Sends SIGTERM as the kubelet does after preStop; the exit code, and the seconds it took."""
        container = f"{self.name}-{name}"
        sent = time.time()
        self.podman("kill", "--signal", "TERM", container)
        code = int(self.podman("wait", container))
        return code, self.span(name)[1] - sent

    def remove(self) -> None:
        self.podman("pod", "rm", "--force", "--time", "0", self.name)


def moment(text: str) -> float:
    """podman's times have nine decimals, one more trio than Python reads; a time that has not come is 0."""
    if text.startswith("0001"):
        return 0
    whole, _, rest = text.partition(".")
    digits = "".join(itertools.takewhile(str.isdigit, rest))
    return datetime.fromisoformat(f"{whole}.{digits[:6]:0<6}{rest[len(digits):].replace('Z', '+00:00')}").timestamp()


def status(address: str, path: str) -> int | None:
    """The status of a GET, or nothing if nobody answers."""
    connection = http.client.HTTPConnection(address, 8080, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def price(address: str, product: str) -> float:
    """The price of a product on the menu."""
    connection = http.client.HTTPConnection(address, 8080, timeout=5)
    connection.request("GET", f"/api/product/{product}")
    answer = json.load(connection.getresponse())
    connection.close()
    return answer["price"]


class Clients:
    """Clients that order, and read the menu, one request after another, and never try again."""

    def __init__(self, address: str, port: int, clients: int = 4, orders: bool = True) -> None:
        self.address, self.port, self.orders = address, port, orders
        self.answered = 0
        self.accepted: list[str] = []
        self.failed: list[str] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(clients)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        # A bound of its own, whatever becomes of the test.
        deadline = time.monotonic() + 90
        for number in itertools.count():
            # About 200 requests a second by all together: enough to hit every moment, and no more.
            if self._stop.wait(0.02) or time.monotonic() > deadline:
                return
            ordering = self.orders and number % 2
            # A connection for each: what nginx does with idle ones when it is reloaded is not what is tested.
            connection = http.client.HTTPConnection(self.address, self.port, timeout=10)
            try:
                if ordering:
                    headers = {"X-API-Key": "apitest", "Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
                    connection.request("POST", "/api/order", json.dumps(ORDER), headers)
                else:
                    connection.request("GET", "/api/product")
                response = connection.getresponse()
                body = response.read()
                failure = None if response.status == 200 else f"{response.status} {body[:200]!r}"
            except (OSError, http.client.HTTPException) as error:
                failure = repr(error)
            finally:
                connection.close()
            with self._lock:
                self.answered += 1
                if failure:
                    self.failed.append(failure)
                elif ordering:
                    self.accepted.append(json.loads(body)["id"])


class Nginx:
    """A proxy in front of pods that hides no failure: it tries nothing again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen | None = None

    def serve(self, pods: list[Pod]) -> None:
        """Sends requests to these pods from now on."""
        configuration = self.folder / "nginx.conf"
        configuration.write_text(
            f"daemon off; pid {self.folder}/nginx.pid; error_log {self.folder}/nginx.log; worker_processes 1;\n"
            "events {}\nhttp {\n  access_log off;\n  upstream shop {\n"
            + "".join(f"    server {pod.address}:8080 max_fails=0;\n" for pod in pods)
            + "    keepalive 8;\n  }\n"
            f"  server {{\n    listen 127.0.0.1:{self.port};\n    location / {{\n      proxy_pass http://shop;\n"
            '      proxy_http_version 1.1;\n      proxy_set_header Connection "";\n      proxy_next_upstream off;\n'
            "    }\n  }\n}\n"
        )
        nginx = ["nginx", "-e", f"{self.folder}/nginx.log", "-c", str(configuration)]
        if self._process:
            subprocess.run([*nginx, "-s", "reload"], check=True)
            return
        self._process = subprocess.Popen(nginx)
        wait_until(lambda: self._listens(), 10, "nginx listens")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(20)


class Postgres:
    """The test server, which listens on this machine only, made reachable from the pods' network."""

    def __init__(self, gateway: str) -> None:
        self.url = urlsplit(os.environ["TEST_POSTGRES_URL"])
        self._psql = str(Path(os.environ["TEST_POSTGRES_BIN"]) / "psql")
        self.port = self._forward(gateway)

    def _forward(self, gateway: str) -> int:
        """Passes connections to the gateway's address, which is there only while a pod is, on to the server."""
        listener = socket.socket()
        # IP_FREEBIND: the address need not exist yet.
        listener.setsockopt(socket.IPPROTO_IP, 15, 1)
        listener.bind((gateway, 0))

        async def copy_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
            except OSError:
                pass
            finally:
                writer.close()

        async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            server_reader, server_writer = await asyncio.open_connection(self.url.hostname, self.url.port)
            await asyncio.gather(copy_bytes(reader, server_writer), copy_bytes(server_reader, writer))

        async def serve() -> None:
            server = await asyncio.start_server(connect, sock=listener)
            await server.serve_forever()

        threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
        return listener.getsockname()[1]

    def sql(self, database: str, statement: str) -> str:
        """The result of a statement, unaligned."""
        done = subprocess.run(
            [self._psql, "-XAtq", "-h", self.url.hostname, "-p", str(self.url.port), "-U", "postgres", "-d", database, "-c", statement],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @contextmanager
    def holding(self, database: str, statement: str) -> Iterator[None]:
        """Runs the statement in a transaction that stays open."""
        process = subprocess.Popen(
            [self._psql, "-XAtq", "-h", self.url.hostname, "-p", str(self.url.port), "-U", "postgres", "-d", database],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        process.stdin.write(f"begin; {statement}; select 'held';\n")
        process.stdin.flush()
        assert process.stdout.readline() == "held\n"
        try:
            yield
        finally:
            process.stdin.close()
            process.wait(10)


class Database:
    """A new, empty database."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.name = f"shop_{uuid.uuid4().hex[:12]}"
        postgres.sql("postgres", f"create database {self.name}")
        # podman's name for the machine; a role that may connect over TLS only.
        self.url = f"postgres://tls_only@host.containers.internal:{postgres.port}/{self.name}?sslmode=require"

    def sql(self, statement: str) -> str:
        return self.postgres.sql(self.name, statement)
