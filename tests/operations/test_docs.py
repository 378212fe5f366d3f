"""The commands in docs/operations.md and docs/troubleshooting.md: run where this machine can, else checked against what they name."""

from __future__ import annotations

import http.server
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from shop import PROGRAMS, REPOSITORY, Api, ask, program, wait_until

DOCS = [REPOSITORY / "docs" / name for name in ("operations.md", "troubleshooting.md")]
BLOCKS = [(file.name, block) for file in DOCS for block in re.findall(r"^ *```sh\n(.*?)^ *```", file.read_text(), re.M | re.S)]
COMMANDS = [(name, line.strip()) for name, block in BLOCKS for line in block.splitlines() if line.strip()]
INLINE = [(file.name, text) for file in DOCS for text in re.findall(r"`([^`\n]+)`", file.read_text())]
# What needs a cluster, containers or a compiler, and what test_chaos.py runs.
ELSEWHERE = ("kubectl", "helm", "make", "docker", "cargo", *(f"scripts/chaos/{name}.sh" for name in ("panic", "pod-delete", "node-drain")))


def is_local(command: str) -> bool:
    """Whether it is run here. An API that serves is what the tests have already."""
    return command.split()[0] not in ELSEWHERE and command != "order-food" and "$PWD/target" not in command and " --pod " not in command


LOCAL = [each for each in COMMANDS if is_local(each[1])]


@pytest.fixture
def machine(tmp_path: Path, postgres: str, empty_postgres_2: str) -> Iterator[tuple[Api, dict[str, str]]]:
    """A developer's: programs in the PATH, an API that serves from a file in the repository's folder."""
    folder = tmp_path / "order-food"
    folder.mkdir()
    for name in ("scripts", "seed", "deploy", ".env.example"):
        (folder / name).symlink_to(REPOSITORY / name)
    api = Api(folder, "sqlite://order-food.db")
    tools = f"{PROGRAMS}:{os.environ['TEST_POSTGRES_BIN']}:{os.environ['PATH']}"
    yield api, {**os.environ, "PATH": tools, "order_food": postgres, "order_food_2": empty_postgres_2}
    api.stop()


def test_local_commands_run(machine: tuple[Api, dict[str, str]]) -> None:
    """In the order of the page, in one shell each, so that what one sets holds for the next."""
    api, environment = machine
    servers = {f"postgres://shop@db.example:5432/{name}?sslmode=require": environment.pop(name) for name in ("order_food", "order_food_2")}
    assert len(LOCAL) > 12
    for page in sorted({name for name, _ in LOCAL}):
        lines = [line for name, line in LOCAL if name == page]
        script = "\n".join(lines).replace("http://localhost:8080", api.url).replace("order-food healthcheck", f"order-food healthcheck --url {api.url}/readyz")
        for there, here in servers.items():
            script = script.replace(there, here)
        # Other tests share the machine.
        script = re.sub("^rm -f order-food.db.*$", "ls order-food.db", script, flags=re.M)
        done = subprocess.run(["bash", "-euxo", "pipefail", "-c", script], cwd=api.folder, env=environment, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "HTTP/1.1 5" not in done.stdout and '"type":"error"' not in done.stdout, done.stdout
    assert (api.folder / "order-food-backup").exists()


def arguments(tool: str) -> list[list[str]]:
    """How the pages call a tool, in blocks and in the text."""
    every = {text for _, text in [*COMMANDS, *INLINE] if text.split()[:1] == [tool] and len(text.split()) > 1}
    return [shlex.split(text.partition("|")[0])[1:] for text in sorted(every)]


def test_words_of_make_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    used = arguments("make")
    assert len(used) > 4
    assert all(re.search(rf"^{word}:", makefile, re.M) for [word] in used), used


def test_helm_is_given_values_that_exist() -> None:
    values = yaml.safe_load((REPOSITORY / "helm/order-food/values.yaml").read_text())
    used = [text for _, text in [*COMMANDS, *INLINE] for text in re.findall(r"--set (\S+?)=", text)]
    used += re.findall(r"`((?:data|metrics|telemetry|autoscaling|resources|initContainers|image|database)\.[\w.]+)(?:=\w+)?`", "".join(file.read_text() for file in DOCS))
    assert len(used) > 12
    for path in used:
        place = values
        for part in path.split("."):
            assert part in place or place == {}, path
            place = place.get(part, {}) if isinstance(place, dict) else {}
    for call in arguments("helm"):
        assert call[0] in ("upgrade", "test", "history", "rollback")
        assert "order-food" in call


def test_an_upgrade_takes_new_defaults_and_keeps_what_was_set() -> None:
    """--reuse-values would keep the old chart's defaults, no option would forget what was set."""
    pages = [*DOCS, *sorted((REPOSITORY / "docs/runbooks").glob("*.md"))]
    upgrades = [line for page in pages for line in re.findall(r"^ *(helm upgrade .*)$", page.read_text(), re.M) if "--install" not in line]
    assert len(upgrades) > 4
    assert [line for line in upgrades if "--reset-then-reuse-values" not in shlex.split(line)] == []


def test_kubectl_names_what_the_chart_makes() -> None:
    used = arguments("kubectl")
    assert len(used) > 12
    objects = {"deployment/order-food", "service/order-food-postgresql", "cronjob", "database-load", "manual-load-1", "NEW-POD"}
    for call in used:
        named = [word for word in call if re.match(r"(deployment|service|cronjob|job|pod)s?/", word)]
        assert set(named) <= objects, call
        for option, value in zip(call, call[1:]):
            if option == "--selector":
                # What they choose is tested with the chart.
                assert value in ("app.kubernetes.io/name=order-food,app.kubernetes.io/component=api", "app.kubernetes.io/name=database-load")
            if option == "--container":
                assert value in ("order-food", "database-migration", "database-load")
        if "/order-food" in call:
            program = call[call.index("/order-food") + 1 :]
            help_ = subprocess.run([PROGRAMS / "order-food", *[word for word in program if not word.isdigit()][:2], "--help"], capture_output=True, text=True)
            assert help_.returncode == 0 and all(option in help_.stdout for option in program if option.startswith("--")), call


def asks_a_ready_pod(command: str) -> bool:
    """Whether kubectl chooses the pod, and so a ready one if there is any, where one that is not ready may be meant."""
    return bool(re.search(r"\bkubectl\b.* (exec\b.* (deployment|deploy|service|svc)/.*\bhealthcheck|logs\b.* (deployment|deploy|service|svc)/)", command))


def test_a_pod_that_is_not_ready_is_asked_by_its_name() -> None:
    pages = (REPOSITORY / "docs").rglob("*.md")
    assert [line for page in pages for line in page.read_text().splitlines() if asks_a_ready_pod(line)] == []
    assert sum("/order-food healthcheck" in text for page in (REPOSITORY / "docs").rglob("*.md") for text in page.read_text().splitlines()) > 2


@pytest.mark.parametrize(
    "command",
    [
        "kubectl exec deployment/order-food --container order-food -- /order-food healthcheck",
        "   kubectl --namespace $NAMESPACE exec deployment/$NAME -- /order-food healthcheck",
        "| a | b | `kubectl logs deployment/order-food --container database-migration` |",
        "kubectl -n shop logs -f deploy/order-food",
    ],
)
def test_commands_that_let_kubectl_choose_are_found(command: str) -> None:
    assert asks_a_ready_pod(command)


@pytest.mark.parametrize("missing", [[], ["the menu has not been loaded yet"], ["the database has not answered yet"], ["migration 7 is missing: run database-migration", "the process is stopping"]])
def test_the_healthcheck_prints_what_the_page_shows(missing: list[str]) -> None:
    class Unready(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"status": "unready", "database": "up", "missing": missing}).encode()
            self.wfile.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

        def log_message(self, *_: object) -> None:
            pass

    [shown] = re.findall(r"^(order-food: http.* answers .*)$", DOCS[1].read_text(), re.M)
    assert shown.count("; ") == 1
    with http.server.HTTPServer(("127.0.0.1", 0), Unready) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        environment = {"SERVER_PORT": str(server.server_port)}
        said = subprocess.run([PROGRAMS / "order-food", "healthcheck"], env=environment, capture_output=True, text=True, timeout=30)
    assert said.returncode == 1
    assert said.stderr.strip() == "; ".join([shown.partition("; ")[0].replace("8080", str(server.server_port)), *missing])


def test_pages_that_drain_a_node_say_when_that_does_not_end() -> None:
    pages = [page for page in (REPOSITORY / "docs").rglob("*.md") if re.search(r"^ *kubectl drain ", page.read_text(), re.M)]
    assert len(pages) > 1
    assert all("PodDisruptionBudget" in page.read_text() and re.search(r"one\s+open\s+node|no\s+other\s+node", page.read_text()) for page in pages)


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Api]:
    """An API behind a proxy on this machine, with a limit that no test reaches."""
    running = Api(tmp_path, f"sqlite://{tmp_path}/shop.db", TRUSTED_PROXIES="127.0.0.1", RATE_LIMIT_PER_SECOND="50")
    yield running
    running.stop()


def raw(api: Api, head: str, body: bytes = b"") -> str:
    """The head of the answer to a request that is sent as it is."""
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"Host: shop\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return connection.recv(65536).decode()


def invalid_addresses(api: Api) -> int:
    """What the counter that the page names says."""
    [value] = re.findall(r"^forwarded_addresses_invalid_total (\d+)", ask(f"{api.url}/metrics").body.decode(), re.M)
    return int(value)


def test_what_is_said_of_proxies_is_so(limited: Api) -> None:
    section = re.search(r"^#### Behind a proxy\n(.*?)^####", DOCS[0].read_text(), re.M | re.S)[1]
    shown = re.search(r"zone: `(.*)`, `(.*)`\.", section).groups()
    left = {}
    for address in [*shown, "203.0.113.9", "[2001:db8:1::9]", "fe80::1%eth0"]:
        answer = ask(f"{limited.url}/api/product", X_Forwarded_For=address)
        left[address] = re.search(r"r=(\d+)", answer.headers["ratelimit"])[1]
    assert len(set(left.values())) == 1, f"each has an allowance of its own: {left}"
    assert invalid_addresses(limited) == 0
    for number, name in enumerate(["unknown", "shop.example", "203.0.113.7:port"], 1):
        assert ask(f"{limited.url}/api/product", X_Forwarded_For=name).status == 200
        assert invalid_addresses(limited) == number
    for offer in ("Connection: upgrade\n", "Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAEAAEAAAAIAAAAB\n", "Upgrade: websocket\nConnection: Upgrade\n"):
        head = raw(limited, f"GET /api/product HTTP/1.1\n{offer}")
        assert head.startswith("HTTP/1.1 200 ") and "connection: close" not in head.lower(), offer


def test_what_is_said_of_pages_is_so(limited: Api) -> None:
    preflight = "OPTIONS /api/order HTTP/1.1\nOrigin: https://shop.example\nAccess-Control-Request-Method: {}\nAccess-Control-Request-Headers: {}\n"
    for headers in ("content-type, api_key", "sentry-trace, baggage", "x-anything"):
        answer = raw(limited, preflight.format("POST", headers)).lower()
        assert answer.startswith("http/1.1 200 ") and "access-control-max-age: 3600" in answer, headers
    assert raw(limited, preflight.format("DELETE", "api_key")).startswith("HTTP/1.1 400 ")
    order = b'{"items":[{"productId":"1","quantity":1}]%s}'
    for kind, body in (
        ("application/json", b"\xef\xbb\xbf" + order % b""),
        ("application/json; charset=utf8", order % b""),
        ("application/json", order % b',"couponCode":""'),
        ("application/json", order % b',"couponCode":" SAVE10 "'),
    ):
        assert raw(limited, f"POST /api/order HTTP/1.1\napi_key: apitest\nContent-Type: {kind}\n", body).startswith("HTTP/1.1 200 "), body


@pytest.mark.parametrize(("settings", "is_used"), [({"PORT": "FREE"}, True), ({"PORT": "FREE", "SERVER_PORT": "0"}, False), ({"PORT": "1", "SERVER_PORT": "FREE"}, True)])
def test_what_is_said_of_the_port_is_so(settings: dict[str, str], is_used: bool, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    settings = {name: port if value == "FREE" else value for name, value in settings.items()}
    log = tmp_path / "log"
    environment = {"DATABASE_URL": f"sqlite://{tmp_path}/shop.db", "LOG_FORMAT": "json", **settings}
    with log.open("w") as output:
        process = subprocess.Popen([PROGRAMS / "order-food"], env=environment, stdout=output, stderr=output)
    try:
        found = wait_until(lambda: re.search(r'"listening","address":"[^"]*:(\d+)"', log.read_text()), 20, "it listens")
        assert (found[1] == port) is is_used
    finally:
        process.terminate()
        process.wait(30)


def test_a_restore_into_the_database_in_use_is_one_sequence() -> None:
    """Nothing that could connect or load starts before the restore is through."""
    [block] = [block for _, block in BLOCKS if "restore.sh --overwrite" in block]
    steps = [
        r"kubectl get deployment/", r"kubectl patch cronjob .*:true", r"kubectl scale .* 0$", r"kubectl wait --for=delete pod", "export DATABASE_URL=", r"scripts/backup\.sh",
        r"scripts/restore\.sh --overwrite", "database-migration$", r"kubectl scale .* [1-9]$", "kubectl rollout status", r"kubectl patch cronjob .*:false",
    ]
    lines = block.split("\n")[:-1]
    assert len(lines) == len(steps)
    assert [line for line, step in zip(lines, steps) if not re.match(step, line)] == []


def test_what_is_said_of_versions_is_so() -> None:
    tag = yaml.safe_load((REPOSITORY / "helm/order-food/values.yaml").read_text())["postgresql"]["image"]["tag"]
    major = re.match(r"\d+", tag)[0]
    assert f"PostgreSQL is {major}, and" in DOCS[0].read_text() and f"`postgresql-client-{major}`" in DOCS[0].read_text()
    assert f"the chart's server is {major})" in (REPOSITORY / "scripts/backup.sh").read_text()


def test_the_url_of_the_charts_own_database_is_right() -> None:
    own = yaml.safe_load((REPOSITORY / "helm/order-food/values.yaml").read_text())["postgresql"]["auth"]
    [port] = {words[-1].split(":")[0] for words in arguments("kubectl") if "service/order-food-postgresql" in words}
    assert f"`postgres://{own['username']}:{own['password']}@localhost:{port}/{own['database']}?sslmode=disable`" in DOCS[0].read_text()


def test_the_secret_is_changed_with_all_its_keys() -> None:
    """A pepper alone would leave the pods without the database's URL."""
    secrets = [call for call in arguments("kubectl") if call[:3] == ["create", "secret", "generic"]]
    keys = [{word.split("=")[1] for word in call if word.startswith("--from-literal=")} for call in secrets]
    assert keys == [{"DATABASE_URL", "API_KEY_PEPPER"}] * 2, "made on day 1, changed on day 2"
    assert [text.partition("|")[2].strip() for _, text in COMMANDS if "--dry-run=client" in text] == ["kubectl apply -f -"]


def test_the_state_of_a_key_is_what_the_list_shows(postgres: str) -> None:
    listed = program("order-food", "keys", "list", DATABASE_URL=postgres, API_KEY_PEPPER="another")
    [state] = re.findall(r"`keys list`, in a new pod, shows them as\s+`([\w ]+)`", DOCS[0].read_text())
    assert state in listed


def test_compose_is_given_services_that_exist() -> None:
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
    names = set(compose["services"])
    known = {"up", "down", "run", "logs", "ps", "config", "--build", "--wait", "--rm", "--no-deps", "--follow", "--volumes", "--profile", "monitoring", "--only", "products"}
    used = arguments("docker")
    assert len(used) > 5
    for call in used:
        assert call[0] == "compose" and set(call[1:]) <= known | names, call


def test_chaos_scripts_have_the_options() -> None:
    for call in [shlex.split(text) for _, text in COMMANDS if text.startswith("scripts/chaos/")]:
        said = subprocess.run([REPOSITORY / call[0], "--help"], capture_output=True, text=True, check=True).stdout
        assert all(word in said for word in call if word.startswith("--")), call


def test_links_lead_somewhere() -> None:
    for file in DOCS:
        for target in re.findall(r"\]\((?!http)([^)]+)\)", file.read_text()):
            path, _, anchor = target.partition("#")
            place = file if not path else (file.parent / path).resolve()
            assert place.exists(), f"{file.name}: {target}"
            if anchor and place.suffix == ".md":
                titles = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", place.read_text(), re.M)]
                assert anchor in titles, f"{file.name}: {target}"


def test_answers_that_are_explained_can_be_given() -> None:
    source = REPOSITORY / "crates/order-food/src"
    page = DOCS[1].read_text()
    reasons = set(re.findall(r"^\| (?:\d+[, ]+)+`(\w+)`", page, re.M))
    known = set(re.findall(r'=> (?:\{\s*)?\("(\w+)"', (source / "http/reason.rs").read_text()))
    assert len(reasons) > 10 and reasons <= known, reasons - known
    readiness = re.sub(r"\\\n\s*", "", (source / "service/readiness.rs").read_text() + (source / "task/follower.rs").read_text())
    for text in ("the database has not answered yet", "is missing: run database-migration", "the menu has not been loaded yet", "the API keys have not been loaded yet", "API_KEY_PEPPER is not the one", "the process is stopping"):
        assert text in page and text in readiness


def test_the_capacity_is_that_of_the_benchmarks() -> None:
    """Figures are copied from one page to the other; whoever measures again must change both."""
    page = DOCS[0].read_text()
    measured = (REPOSITORY / "docs/benchmarks.md").read_text()
    rates = re.findall(r"^\| .*? \| ([\d,]{5,}) \|", page[page.index("| what | a second") : page.index("| what | figure")], re.M)
    assert len(rates) == 5 and all(f"| {rate} |" in measured for rate in rates), rates


def test_required_tools_are_there() -> None:
    assert all(shutil.which(tool) for tool in ("curl", "bash", "nginx", "sqlite3", "promtool", "prometheus", "shellcheck"))
