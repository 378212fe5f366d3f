"""The chaos scripts: for real on this machine, and with stand-ins for the tools of a cluster."""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from shell import Shell
from shop import REPOSITORY

CHAOS = REPOSITORY / "scripts/chaos"
SCRIPTS = ("panic.sh", "pod-delete.sh", "node-drain.sh")
SERVICE = "/api/v1/namespaces/shop/services/order-food:http/proxy"
# Two pods on two nodes, beside some that are going away, over or not there yet; what is deleted is there again at once.
KUBECTL = """
old="2026-11-30T10:00:00Z|Running|old"
case "$*" in
  *"get deployment"*) echo "${DEPLOYMENT-deployment.apps/order-food}" ;;
  *"get service"*) echo service/order-food ;;
  *"exec one"*"keys create"*) echo "created 7"; echo of_key ;;
  *"get pods"*restartCount*)
    if [ ! -e "$COUNTED" ]; then
      touch "$COUNTED"
      echo "$old 3"; echo "|Running|one 1"; echo "|Running|two 0"
    else
      [ -n "$REPLACED" ] || echo "|Running|one ${RESTARTS:-1}"
      echo "|Running|new ${NEW_RESTARTS:-0}"; echo "|Pending|newer "
    fi ;;
  *"get pods"*component=api*nodeName*)
    echo "$old node-a"; echo "|Failed|evicted node-a"; echo "|Pending|new "
    [ -e "$DRAINED" ] || echo "|Running|one node-a"
    echo "|Running|two node-b" ;;
  *"get pods"*component=postgresql*nodeName*) echo "|Running|database node-b" ;;
  *"get pods"*) echo "$old True"; echo "|Running|one True"; echo "|Running|two ${LONELY:-True}" ;;
  *"get nodes"*) echo "node-a||True|"; echo "node-b|$CORDONED|${READY:-True}|"; echo "node-c||True|NoSchedule" ;;
  *"get networkpolicies"*) printf "%s" "$POLICIES" ;;
  proxy*) echo "Starting to serve on 127.0.0.1:$PORT"; exec sleep 60 ;;
  drain*) touch "$DRAINED"; exit "${DRAIN:-0}" ;;
esac
"""


class Shop(http.server.BaseHTTPRequestHandler):
    """A shop that does one thing wrong."""

    protocol_version = "HTTP/1.1"
    fault = ""
    orders: dict[str, str] = {}
    asked: set[str] = set()
    panics = 0
    # How often a key that was just made is refused.
    unknown = 0
    _lock = threading.Lock()

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        if self.fault == "hangs":
            self.close_connection = True
            time.sleep(1.5)
            return
        if self.fault == "breaks off":
            self.close_connection = True
            return
        if self.fault == "is no HTTP":
            self.close_connection = True
            self.wfile.write(b"SSH-2.0-other\r\n")
            return
        if self.fault == "is kept out":
            return self._answer(503, {"message": "error trying to reach service: dial tcp 10.244.1.3:8080: i/o timeout"})
        if self.fault == "is down":
            return self._answer(503, {"reason": "database_unavailable"})
        if self.path.endswith("/panic"):
            type(self).panics += 1
            self._answer(404 if self.fault == "no fault injection" else 200 if self.fault == "caught" else 500, {"reason": "internal"})
        elif "/api/order" in self.path and self.unknown:
            type(self).unknown -= 1
            self._answer(403, {"reason": "invalid_api_key"})
        elif "/api/order" in self.path:
            with self._lock:
                ids = list(self.orders.values())
            lost = ids[:-1] if self.fault == "loses" else ids + ["more"] if self.fault == "doubles" and ids else ids
            self._answer(200, [{"id": each} for each in lost])
        else:
            self._answer(200, [])

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        key = self.headers["Idempotency-Key"]
        with self._lock:
            first = key not in self.asked
            self.asked.add(key)
            order = self.orders.setdefault(key, str(uuid.uuid4()))
        if self.fault == "falters" and first and len(self.asked) > 5:
            self._answer(503, {"reason": "outcome_unknown"})
        elif self.fault == "refuses" and len(self.asked) > 5:
            self._answer(403, {"reason": "invalid_api_key"})
        else:
            self._answer(200, {"id": order})

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[http.server.ThreadingHTTPServer]:
    """The shop on a free port."""
    Shop.fault, Shop.orders, Shop.asked, Shop.panics, Shop.unknown = "", {}, set(), 0, 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture
def cluster(shell: Shell, shop: http.server.ThreadingHTTPServer, tmp_path: Path) -> Shell:
    """A cluster with the shop in it."""
    shell.stand_in("kubectl", KUBECTL.replace("$PORT", str(shop.server_port)).replace("$DRAINED", str(tmp_path / "drained")).replace("$COUNTED", str(tmp_path / "counted")))
    return shell


def run(shell: Shell, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """A chaos script in the cluster, without a pause at its end."""
    after = () if "--after" in arguments else ("--after", "0")
    return shell.run(f"scripts/chaos/{script}", "--namespace", "shop", *after, *arguments, **environment)


def load(shop: http.server.ThreadingHTTPServer, *arguments: str) -> subprocess.CompletedProcess:
    """The load by itself."""
    command = [sys.executable, CHAOS / "load.py", "--url", f"http://127.0.0.1:{shop.server_port}", "--seconds", "0.5", *arguments]
    return subprocess.run(command, env={"SHOP_API_KEY": "key"}, capture_output=True, text=True, timeout=30)


def local(script: str, *arguments: str, **environment: str) -> str:
    """What a local form says at its end; it must pass."""
    done = subprocess.run([CHAOS / script, "--local", *arguments], env={**os.environ, **environment}, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("how", [(), ("--hard",)], ids=["SIGTERM", "SIGKILL"])
def test_deleted_pods_cost_no_order(empty_postgres: str, how: tuple[str, ...]) -> None:
    said = local("pod-delete.sh", "--pods", "2", "--after", "1", *how, DATABASE_URL=empty_postgres)
    assert said.count(f"chaos: {'SIGKILL' if how else 'SIGTERM'} to API ") == 2
    assert int(re.search(r"(\d+) orders", said)[1]) > 20, "the load was none"
    assert "pod-delete.sh: PASS: 2 deleted, every order is there once" in said


def test_nobody_notices_panics() -> None:
    said = local("panic.sh", "--panics", "10", "--after", "1")
    assert ", 0 tries repeated," in said
    assert "panic.sh: PASS: 10 panics, each answered with 500; nothing else noticed" in said


def test_deletes_pods_of_a_cluster(cluster: Shell) -> None:
    done = run(cluster, "pod-delete.sh", "--pods", "3")
    assert done.returncode == 0, done.stderr
    deleted = [call for call in cluster.calls("kubectl") if "delete" in call]
    assert len(deleted) == 3 and all(call[1:5] == ["--namespace", "shop", "delete", "pod"] and call[5] in ("one", "two") for call in deleted)
    assert not any("--force" in call for call in deleted)
    assert cluster.calls("kubectl")[-1][-3:] == ["keys", "revoke", "7"], "the key of the load stays usable"
    assert Shop.orders


def test_deletes_pods_without_grace(cluster: Shell) -> None:
    assert run(cluster, "pod-delete.sh", "--pods", "1", "--hard").returncode == 0
    [deleted] = [call for call in cluster.calls("kubectl") if "delete" in call]
    assert deleted[-2:] == ["--grace-period=0", "--force"]


def test_drains_a_node(cluster: Shell) -> None:
    done = run(cluster, "node-drain.sh")
    assert done.returncode == 0, done.stderr
    words = [" ".join(call[1:3]) for call in cluster.calls("kubectl") if call[1] in ("drain", "uncordon")]
    assert words == ["drain node-a", "uncordon node-a"], "node-b has the database"
    assert "node-drain.sh: PASS: node-a was drained" in done.stdout


def test_lets_pods_onto_the_node_again_after_a_failure(cluster: Shell) -> None:
    done = run(cluster, "node-drain.sh", "--node", "node-b", DRAIN="1")
    assert done.returncode != 0
    assert ["kubectl", "uncordon", "node-b"] in cluster.calls("kubectl")
    assert cluster.calls("kubectl")[-1][-3:] == ["keys", "revoke", "7"]


def test_fails_if_pods_stay_on_the_node(cluster: Shell) -> None:
    done = run(cluster, "node-drain.sh", "--node", "node-b")
    assert done.returncode == 1 and "FAIL: pods of the API are on node-b still" in done.stderr


def test_panics_in_a_cluster(cluster: Shell) -> None:
    done = run(cluster, "panic.sh", "--panics", "5")
    assert done.returncode == 0, done.stderr
    assert Shop.panics == 5
    [made] = [call for call in cluster.calls("kubectl") if "create" in call]
    assert made[-1] == "admin create_order read_orders"


@pytest.mark.parametrize(
    ("fault", "says"), [("no fault injection", "faultInjection=true"), ("caught", "FAIL: panic 1 was answered with 200"), ("falters", "FAIL: the load")]
)
def test_a_panic_that_is_noticed_fails(cluster: Shell, fault: str, says: str) -> None:
    Shop.fault = fault
    done = run(cluster, "panic.sh", "--panics", "1", "--after", "1")
    assert done.returncode == 1 and says in done.stderr
    assert cluster.calls("kubectl")[-1][-3:] == ["keys", "revoke", "7"]


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"RESTARTS": "2"}, "FAIL: a process was started again: one\n"),
        ({"NEW_RESTARTS": "1"}, "FAIL: a process was started again: new\n"),
        ({"RESTARTS": "10", "NEW_RESTARTS": "2"}, "FAIL: a process was started again: one, new\n"),
        ({"REPLACED": "yes"}, "FAIL: all pods were replaced meanwhile, so a restart would not be seen\n"),
    ],
)
def test_a_process_that_was_started_again_fails(cluster: Shell, environment: dict[str, str], says: str) -> None:
    done = run(cluster, "panic.sh", "--panics", "1", **environment)
    assert done.returncode == 1 and says in done.stderr


def test_panics_begin_when_the_upgrade_is_through(cluster: Shell) -> None:
    assert run(cluster, "panic.sh", "--panics", "1").returncode == 0
    words = [" ".join(call) for call in cluster.calls("kubectl")]
    waited = words.index("kubectl --namespace shop rollout status deployment.apps/order-food --timeout 15m")
    assert all("restartCount" not in each for each in words[:waited]), "pods that go away were counted"


def test_what_is_going_away_is_not_deleted(cluster: Shell) -> None:
    assert run(cluster, "pod-delete.sh", "--pods", "9").returncode == 0
    deleted = [call[5] for call in cluster.calls("kubectl") if call[3:5] == ["delete", "pod"]]
    assert len(deleted) == 9 and set(deleted) <= {"one", "two"}


@pytest.mark.parametrize("fault", ["loses", "doubles", "refuses"])
def test_an_order_that_suffers_fails(cluster: Shell, fault: str) -> None:
    Shop.fault = fault
    done = run(cluster, "pod-delete.sh", "--after", "1")
    assert done.returncode == 1 and "FAIL: the load did not come out right" in done.stderr
    assert "PASS" not in done.stdout


@pytest.mark.parametrize(
    ("script", "environment", "says"),
    [
        ("pod-delete.sh", {"LONELY": "false"}, "without a second one a deletion is an outage"),
        ("node-drain.sh", {"LONELY": "false"}, "without a second one a drain is an outage"),
        ("node-drain.sh", {"CORDONED": "true"}, "no node but node-a takes pods: its pods have nowhere to go, and kubectl drain would wait"),
        ("node-drain.sh", {"READY": "Unknown"}, "no node but node-a takes pods"),
    ],
)
def test_does_not_make_an_outage(cluster: Shell, script: str, environment: dict[str, str], says: str) -> None:
    done = run(cluster, script, **environment)
    assert done.returncode == 1 and says in done.stderr
    assert not [call for call in cluster.calls("kubectl") if "delete" in call or "drain" in call]


@pytest.mark.parametrize("script", SCRIPTS)
def test_says_what_is_missing(cluster: Shell, script: str) -> None:
    done = run(cluster, script, DEPLOYMENT="")
    assert done.returncode == 1 and done.stderr == f"{script}: namespace shop has no release order-food\n"
    (cluster.tools / "kubectl").unlink()
    done = run(cluster, script)
    assert done.returncode == 1 and done.stderr.startswith(f"{script}: kubectl is missing: ")


@pytest.mark.parametrize("script", SCRIPTS)
def test_explains_itself(shell: Shell, script: str) -> None:
    done = shell.run(f"scripts/chaos/{script}", "--help")
    assert done.returncode == 0 and done.stdout.startswith(f"Usage: scripts/chaos/{script} ")
    assert not shell.calls("kubectl")


def test_the_load_sends_again_under_the_same_key(shop: http.server.ThreadingHTTPServer) -> None:
    Shop.fault = "falters"
    done = load(shop)
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) tries repeated", done.stdout)[1]) > 0
    assert load(shop, "--strict").returncode == 1


@pytest.mark.parametrize(("fault", "says"), [("loses", "was confirmed and is not there"), ("doubles", "order more was placed and not confirmed to any client")])
def test_the_load_compares_what_was_told_with_what_is_stored(shop: http.server.ThreadingHTTPServer, fault: str, says: str) -> None:
    Shop.fault = fault
    done = load(shop)
    assert done.returncode == 1 and says in done.stdout


def test_the_load_begins_when_its_key_is_known(shop: http.server.ThreadingHTTPServer) -> None:
    Shop.unknown = 10
    done = load(shop)
    assert done.returncode == 0, done.stdout
    assert Shop.unknown == 0 and Shop.orders


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("hangs", "the orders cannot be read: no answer within 1 s"),
        ("breaks off", "the orders cannot be read: no answer: Remote end closed connection without response"),
        ("is no HTTP", "the orders cannot be read: no answer: it broke off, or is no HTTP"),
        ("is kept out", 'the orders cannot be read: 503 {"message":"error trying to reach service: dial tcp 10.244.1.3:8080: i/o timeout"}'),
        ("is down", 'the orders cannot be read: 503 {"reason":"database_unavailable"}'),
    ],
)
def test_failures_are_told_without_the_words_of_python(shop: http.server.ThreadingHTTPServer, fault: str, says: str) -> None:
    Shop.fault = fault
    done = load(shop, "--timeout", "1")
    assert done.returncode == 1
    assert done.stdout.endswith(f"  {says}\n")


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    ("fault", "policies", "is_named"),
    [("is kept out", "networkpolicy/order-food", True), ("breaks off", "networkpolicy/order-food", True), ("is kept out", "", False), ("is down", "networkpolicy/order-food", False)],
)
def test_policies_that_keep_the_proxy_out_are_named(cluster: Shell, script: str, fault: str, policies: str, is_named: bool) -> None:
    Shop.fault = fault
    done = run(cluster, script, POLICIES=policies)
    assert done.returncode == 1 and f"{script}: no load: " in done.stderr
    assert ("keep the API server's proxy out" in done.stderr and "networkPolicy.ingressCidrs" in done.stderr) is is_named
    assert "b'" not in done.stderr and 'b"' not in done.stderr


def test_files_of_background_jobs_are_there_before_they_are_read() -> None:
    """The job makes its file when it gets to run, and what waits for a line in it may be earlier."""
    found = 0
    for script in (REPOSITORY / "scripts").rglob("*.sh"):
        lines = script.read_text().splitlines()
        for number, line in enumerate(lines):
            if written := re.search(r' >"(\$\w+/?\w*)"(?: 2>&1)? &$', line):
                found += 1
                text = "\n".join(lines[max(0, number - 4) : number])
                assert f': >"{written[1]}"' in text or f"{written[1].lstrip('$')}=$(mktemp)" in text, f"{script.name}: {line}"
    assert found >= 4


def test_shell_scripts() -> None:
    scripts = [*CHAOS.glob("*.sh"), *(REPOSITORY / "scripts/database").glob("*.sh"), REPOSITORY / "scripts/backup.sh", REPOSITORY / "scripts/restore.sh"]
    done = subprocess.run(["shellcheck", "--external-sources", "--severity=warning", *scripts], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
