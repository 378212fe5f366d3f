"""deploy.sh, cleanup.sh, test-api.sh and the Makefile, without a cluster."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from shell import REPOSITORY, Shell

IMAGES = [f"docker.io/library/{name}:0.1.0" for name in ("order-food", "database-migration", "database-load")]
WORDS = {
    *("cluster-create", "build-image", "deploy-all", "status", "port-forward", "wait-pods", "test-api", "test-integration"),
    *("test-load", "delete-all", "logs-order-food", "logs-database-migration", "logs-database-load", "logs-postgresql"),
    *("restart-order-food", "restart-postgresql"),
}
KUBECTL = """
case "$*" in
  "config current-context") echo "${CONTEXT:-kind-order-food}" ;;
  *"get service"*) echo "${SERVICE-service/order-food}" ;;
  *"get deployment"*) echo "${DEPLOYMENT-deployment.apps/order-food}" ;;
  *"get statefulset"*) echo "${STATEFULSET-statefulset.apps/order-food-postgresql}" ;;
  *"get persistentvolumeclaim"*) echo persistentvolumeclaim/data-order-food-postgresql-0 ;;
  *port-forward*) echo "Forwarding from 127.0.0.1:$PORT -> 8080"; exec sleep 60 ;;
esac
"""
DOCKER = 'case "$*" in "image inspect"*) echo "${IDS:-sha256:1}" ;; esac'


class Api(http.server.BaseHTTPRequestHandler):
    """The API as test-api.sh sees it."""

    # The status of an answer that is wrong, by path.
    wrong: dict[str, int] = {}
    key = "apitest"

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.rfile.read(length)
        order = {"id": "01993f3a-0000-7000-8000-000000000001", "status": "placed"}
        right = 401 if self.command == "POST" and self.headers.get("api_key") != self.key else 200
        body = json.dumps([] if self.path == "/api/product" else order).encode()
        self.send_response(self.wrong.get(self.path, right))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api() -> Iterator[http.server.ThreadingHTTPServer]:
    """An API on a free port."""
    Api.wrong, Api.key = {}, "apitest"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture
def cluster(shell: Shell, api: http.server.ThreadingHTTPServer) -> Shell:
    """A machine with all tools, and a cluster that has the API."""
    shell.stand_in("kubectl", KUBECTL.replace("$PORT", str(api.server_port)))
    shell.stand_in("docker", DOCKER)
    for tool in ("helm", "kind", "minikube"):
        shell.stand_in(tool)
    return shell


def test_deploys_into_kind(cluster: Shell) -> None:
    done = cluster.run("scripts/deploy.sh")
    assert done.returncode == 0, done.stderr
    builds = [call for call in cluster.calls("docker") if call[1] == "build"]
    assert [call[call.index("--tag") + 1] for call in builds] == IMAGES
    assert [call[call.index("--target") + 1] for call in builds] == ["order-food", "database-migration", "database-load"]
    assert cluster.calls("kind") == [["kind", "load", "docker-image", "--name", "order-food", *IMAGES]]
    [install] = cluster.calls("helm")
    assert install[1:5] == ["upgrade", "--install", "order-food", "helm/order-food"]
    assert "--wait" in install
    steps = [call[0] for call in cluster.calls("docker", "kind", "helm")]
    assert steps.index("kind") > steps.index("docker") and steps[-1] == "helm"
    assert "test-api.sh: all works" in done.stdout
    assert "kubectl --namespace default port-forward service/order-food 8080:http" in done.stdout


def test_replaces_pods_only_where_an_image_changed(cluster: Shell) -> None:
    marks = []
    for ids in ("sha256:1", "sha256:1", "sha256:2"):
        assert cluster.run("scripts/deploy.sh", IDS=ids).returncode == 0
        [mark] = [argument for argument in cluster.calls("helm")[-1] if argument.startswith("podAnnotations.images=")]
        marks.append(mark)
    assert marks[0] == marks[1] != marks[2]


def test_deploys_into_minikube(cluster: Shell) -> None:
    done = cluster.run("scripts/deploy.sh", CONTEXT="minikube")
    assert done.returncode == 0, done.stderr
    assert cluster.calls("minikube") == [["minikube", "image", "load", "--overwrite=true", *IMAGES]]
    assert not cluster.calls("kind")


def test_loads_nothing_into_docker_desktop(cluster: Shell) -> None:
    assert cluster.run("scripts/deploy.sh", CONTEXT="docker-desktop").returncode == 0
    assert not cluster.calls("kind", "minikube")


def test_refuses_to_build_for_a_cluster_that_cannot_see_it(cluster: Shell) -> None:
    done = cluster.run("scripts/deploy.sh", CONTEXT="production")
    assert done.returncode == 1
    assert "deploy.sh: the context production is neither" in done.stderr
    assert not cluster.calls("docker", "helm")


def test_takes_images_of_a_registry(cluster: Shell) -> None:
    done = cluster.run(
        *("scripts/deploy.sh", "--no-images", "--namespace", "shop", "--release", "mine", "--", "--set", "image.registry=r.example"),
        CONTEXT="production",
    )
    assert done.returncode == 0, done.stderr
    assert not cluster.calls("docker", "kind", "minikube")
    [install] = cluster.calls("helm")
    assert install[3] == "mine"
    assert install[install.index("--namespace") + 1] == "shop"
    assert install[-2:] == ["--set", "image.registry=r.example"]
    assert not any("podAnnotations" in argument for argument in install)


def test_builds_images_only(cluster: Shell) -> None:
    done = cluster.run("scripts/deploy.sh", "--images-only")
    assert done.returncode == 0, done.stderr
    assert cluster.calls("kind") and not cluster.calls("helm")


def test_a_failing_installation_fails_the_deployment(cluster: Shell) -> None:
    cluster.stand_in("helm", "exit 1")
    assert cluster.run("scripts/deploy.sh").returncode != 0
    assert not [call for call in cluster.calls("kubectl") if "port-forward" in call]


def test_a_failing_order_fails_the_deployment(cluster: Shell) -> None:
    Api.wrong = {"/api/order": 503}
    done = cluster.run("scripts/deploy.sh")
    assert done.returncode == 1
    assert "test-api.sh: order: 503 instead of 200" in done.stderr


@pytest.mark.parametrize(
    ("script", "tool"),
    [
        *(("scripts/deploy.sh", tool) for tool in ("kubectl", "helm", "curl", "docker", "kind")),
        *(("scripts/cleanup.sh", tool) for tool in ("kubectl", "helm")),
        *(("scripts/test-api.sh", tool) for tool in ("kubectl", "curl")),
    ],
)
def test_says_which_tool_is_missing(cluster: Shell, script: str, tool: str) -> None:
    (cluster.tools / tool).unlink()
    done = cluster.run(script)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"{script.removeprefix('scripts/')}: {tool} is missing: ")
    assert not cluster.calls("docker", "helm"), "it began without what it needs"


@pytest.mark.parametrize("script", sorted(file.name for file in (REPOSITORY / "scripts").glob("*.sh")))
def test_every_script_explains_itself(shell: Shell, script: str) -> None:
    for option in ("--help", "-h"):
        done = shell.run(f"scripts/{script}", option)
        assert done.returncode == 0, done.stderr
        assert "usage:" in done.stdout.lower()
        assert not shell.calls("docker", "helm", "kubectl", "cargo")


@pytest.mark.parametrize("script", ["build-images.sh", "build-programs.sh", "cleanup.sh", "deploy.sh", "test-api.sh"])
def test_a_wrong_argument_does_nothing(cluster: Shell, script: str) -> None:
    assert cluster.run(f"scripts/{script}", "--no-such-option").returncode == 2
    assert not cluster.calls("docker", "helm", "kubectl", "kind")


def test_cleans_up_and_keeps_the_orders(cluster: Shell) -> None:
    done = cluster.run("scripts/cleanup.sh", "--namespace", "shop")
    assert done.returncode == 0, done.stderr
    [removal] = cluster.calls("helm")
    assert removal[1:5] == ["uninstall", "order-food", "--namespace", "shop"]
    # The pod of helm test is nothing that helm uninstall removes.
    [left] = [call for call in cluster.calls("kubectl") if "delete" in call]
    assert left[1:5] == ["delete", "pod", "--namespace", "shop"]
    assert "app.kubernetes.io/instance=order-food,app.kubernetes.io/component=test" in left
    assert "data-order-food-postgresql-0 is kept" in done.stdout


def test_cleans_up_orders_where_told_to(cluster: Shell) -> None:
    assert cluster.run("scripts/cleanup.sh", "--data").returncode == 0
    [removal] = [call for call in cluster.calls("kubectl") if "delete" in call and "pod" not in call]
    assert "persistentvolumeclaim" in removal
    assert "app.kubernetes.io/instance=order-food,app.kubernetes.io/component=postgresql" in removal


def test_the_api_test_takes_an_address(cluster: Shell, api: http.server.ThreadingHTTPServer) -> None:
    done = cluster.run("scripts/test-api.sh", "--url", f"http://127.0.0.1:{api.server_port}/")
    assert done.returncode == 0, done.stderr
    assert not cluster.calls("kubectl")
    assert done.stdout.count(": 200") == 4


@pytest.mark.parametrize(
    ("pods", "reached"),
    [
        ("2026-11-30T10:00:00Z|old True\n|new True", "pod/new"),
        ("|starting False\n|new True\n|newer True", "pod/new"),
        ("2026-11-30T10:00:00Z|old True\n|starting ", "service/order-food"),
        ("", "service/order-food"),
    ],
)
def test_the_api_test_reaches_a_pod_that_stays(cluster: Shell, pods: str, reached: str) -> None:
    kubectl = cluster.tools / "kubectl"
    kubectl.write_text(kubectl.read_text().replace('case "$*" in', 'case "$*" in\n  *"get pods"*) echo "$PODS" ;;', 1))
    assert cluster.run("scripts/test-api.sh", PODS=pods).returncode == 0
    [forward] = [call for call in cluster.calls("kubectl") if "port-forward" in call]
    assert forward[-2:] == [reached, ":http"]


def test_the_api_test_needs_a_release(cluster: Shell) -> None:
    done = cluster.run("scripts/test-api.sh", "--namespace", "empty", SERVICE="")
    assert done.returncode == 1
    assert "namespace empty has no release order-food" in done.stderr


@pytest.mark.parametrize(("path", "said"), [("/readyz", "ready: 503"), ("/api/product", "menu: 503")])
def test_the_api_test_finds_what_is_wrong(cluster: Shell, path: str, said: str) -> None:
    Api.wrong = {path: 503}
    done = cluster.run("scripts/test-api.sh")
    assert done.returncode == 1
    assert said in done.stderr


def test_load_fails_with_any_request(cluster: Shell) -> None:
    for said, code in (("Requests/sec: 10", 0), ("  Non-2xx or 3xx responses: 1", 1), ("  Socket errors: connect 1", 1)):
        cluster.stand_in("wrk", f"echo '{said}'")
        assert cluster.run("scripts/test-api.sh", "--load", "5").returncode == code
    assert "5s" in cluster.calls("wrk")[0]
    for wrong in ("0", "301", "x"):
        assert cluster.run("scripts/test-api.sh", "--load", wrong).returncode == 2


def test_the_makefile_has_the_words_of_operators(shell: Shell) -> None:
    done = shell.run("make")
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"^([a-z-]+) ", done.stdout, re.M)) == WORDS | {"help"}


@pytest.mark.parametrize("word", sorted(WORDS - {"test-integration", "test-load", "port-forward", "build-image", "cluster-create"}))
def test_a_word_does_something_in_the_namespace(cluster: Shell, word: str) -> None:
    done = cluster.run("make", word, "NAMESPACE=shop")
    assert done.returncode == 0, done.stderr
    calls = [call for call in cluster.calls("kubectl", "helm") if call[1:] not in (["config", "current-context"], ["cluster-info"])]
    assert calls
    assert all(call[call.index("--namespace") + 1] == "shop" for call in calls)


@pytest.mark.parametrize("word", ["logs-database-load", "logs-database-migration", "logs-order-food", "port-forward", "restart-order-food", "wait-pods"])
def test_a_word_says_that_there_is_no_release(cluster: Shell, word: str) -> None:
    done = cluster.run("make", word, "NAMESPACE=shop", "RELEASE=lunch", DEPLOYMENT="", SERVICE="")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == 'make: namespace shop has no release lunch: try "make deploy-all"'
    assert [call[3] for call in cluster.calls("kubectl")] == ["get"], "it began without what it needs"


@pytest.mark.parametrize("word", ["logs-postgresql", "restart-postgresql"])
def test_a_word_says_that_the_database_is_elsewhere(cluster: Shell, word: str) -> None:
    done = cluster.run("make", word, STATEFULSET="")
    assert done.returncode == 2 and done.stderr.splitlines()[0] == "make: namespace default has no PostgreSQL of the release order-food"


def test_a_word_leaves_a_cluster_that_does_not_answer_to_kubectl(cluster: Shell) -> None:
    cluster.stand_in("kubectl", "echo 'connection refused' >&2; exit 1")
    done = cluster.run("make", "wait-pods")
    assert done.returncode == 2 and "connection refused" in done.stderr and "no release" not in done.stderr


def test_words_that_do_more(cluster: Shell) -> None:
    for word in ("cluster-create", "build-image"):
        assert cluster.run("make", word, "CLUSTER=order-food").returncode == 0
    assert cluster.calls("kind")[:2] == [
        ["kind", "get", "clusters"],
        ["kind", "create", "cluster", "--name", "order-food", "--wait", "3m"],
    ]
    cluster.stand_in("kind", "echo order-food")
    assert cluster.run("make", "cluster-create").returncode == 0
    assert [call[1] for call in cluster.calls("kind")].count("create") == 1, "a cluster that is there is kept"
    cluster.stand_in("wrk")
    assert cluster.run("make", "test-load", "LOAD_SECONDS=7").returncode == 0
    assert "7s" in cluster.calls("wrk")[0]
    assert "scripts/test.sh" in cluster.run("make", "--dry-run", "test-integration").stdout
    assert "port-forward" in cluster.run("make", "--dry-run", "port-forward").stdout


def test_image_builds_choose_an_engine_that_works(shell: Shell) -> None:
    shell.stand_in("docker", "exit 1")
    nothing = shell.run("scripts/build-images.sh")
    assert nothing.returncode == 1
    assert "none of docker, podman and buildah works" in nothing.stderr
    shell.stand_in("podman")
    assert shell.run("scripts/build-images.sh", "--tag", "t").returncode == 0
    builds = [call for call in shell.calls("podman") if call[1] == "build"]
    assert [call[call.index("--tag") + 1] for call in builds] == [name.replace("0.1.0", "t") for name in IMAGES]
    broken = shell.run("scripts/build-images.sh", "--engine", "docker")
    assert broken.returncode == 1
    assert "docker is missing, or does not run" in broken.stderr


@pytest.mark.parametrize(("engine", "form", "checks"), [("docker", "", True), ("podman", "", False), ("buildah", "", False), ("buildah", "oci", False), ("podman", "docker", True)])
def test_an_engine_is_told_of_the_health_check_only_if_its_format_has_one(shell: Shell, engine: str, form: str, checks: bool) -> None:
    """The others would warn of it."""
    read = 'while [ $# -gt 0 ]; do [ "$1" != --file ] || cat "$2" >>"$CALLS.read"; shift; done'
    shell.stand_in(engine, read)
    done = shell.run("scripts/build-images.sh", "--engine", engine, **({"BUILDAH_FORMAT": form} if form else {}))
    assert done.returncode == 0, done.stderr
    told = Path(f"{shell.tools.parent}/calls.read").read_text()
    assert told.count("ENTRYPOINT") == 9 and told.count("\nHEALTHCHECK ") == (3 if checks else 0)


def test_images_refuse_programs_that_need_libraries(tmp_path: Path) -> None:
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("order-food", "database-migration", "database-load"):
        shutil.copy("/bin/true", folder / name)
    done = subprocess.run(["scripts/image-files.sh", folder, tmp_path / "out"], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 1
    assert "is not static" in done.stderr
