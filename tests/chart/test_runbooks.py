"""Commands of the runbooks that are for a cluster: the programs understand them, and they name what the chart makes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import tools
from chart import CHART, REPOSITORY, render

sys.path.insert(0, str(REPOSITORY / "tests/monitoring"))
from runbooks import RUNBOOKS, commands  # noqa: E402

COMMANDS = sorted({command for page in RUNBOOKS.glob("*.md") for command in commands(page.read_text()) if re.search(r"\b(kubectl|helm)\b", command)})
# What a reader sets, or reads off.
VARIABLES = {"NAMESPACE": "shop", "NAME": "lunch-order-food", "RELEASE": "lunch", "POD": "pod", "DEBUGGER": "debugger", "NODE": "node", "JOB": "job", "CLAIM": "claim", "SECRET": "secret", "CERTIFICATE": "certificate"}
# What a program says that understood, and found no cluster.
ALONE = re.compile(r"connection refused|was refused|cluster unreachable|no such host", re.IGNORECASE)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A place where nobody listens, with the files that commands ask for."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "helm").symlink_to(CHART.parent)
    certificate = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=shop.example"]
    subprocess.run([*certificate, "-keyout", "tls.key", "-out", "tls.crt"], cwd=folder, check=True, capture_output=True, timeout=60)
    cluster = {"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}
    context = {"name": "none", "context": {"cluster": "none", "user": ""}}
    (folder / "config").write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "none", "clusters": [cluster], "contexts": [context]}))
    return folder


@pytest.mark.parametrize("version", tools.KUBECTL)
def test_programs_understand_the_commands(version, home, tmp_path):
    (tmp_path / "kubectl").symlink_to(tools.KUBECTL[version])
    (tmp_path / "helm").symlink_to(tools.HELM["3"])
    environment = {"PATH": f"{tmp_path}:/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "KUBECONFIG": str(home / "config"), **VARIABLES}
    # All at once: each waits for a connection for a while.
    running = {
        command: subprocess.Popen(["bash", "-uc", command.removesuffix("&")], env=environment, cwd=home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for command in COMMANDS
        if not command.startswith("export")
    }
    assert len(running) > 50
    wrong = {command: said for command, process in running.items() if not ALONE.search(said := process.communicate(timeout=120)[1])}
    assert wrong == {}


def test_values_that_are_set_exist():
    schema = json.loads((CHART / "values.schema.json").read_text())
    paths = [path for command in COMMANDS for path in re.findall(r"--set ([\w.]+)=", command)]
    # And those that the text speaks of.
    text = "\n".join(page.read_text() for page in RUNBOOKS.glob("*.md"))
    paths += re.findall(r"`((?:" + "|".join(schema["properties"]) + r")\.[\w.]+)(?:=\w+)?`", text)
    assert len(paths) > 15
    for path in paths:
        node = schema
        for part in path.split("."):
            node = node["properties"].get(part)
            assert node, path
            if "$ref" in node:
                node = schema["definitions"][node["$ref"].rpartition("/")[2]]


def test_objects_that_are_named_are_made():
    manifests = render(autoscaling__enabled=True, name=VARIABLES["RELEASE"])
    there = {f"{o['kind'].lower()}/{o['metadata']['name']}" for o in manifests} | {f"pod/{o['metadata']['name']}-0" for o in manifests.all("StatefulSet")}
    named = {re.sub(r"^exec (\S+)", r"pod/\1", re.sub(r"(cronjob|horizontalpodautoscaler|poddisruptionbudget) ", r"\1/", found)) for command in COMMANDS for found in re.findall(
        r"(?:deployment|service|cronjob)/[\w$-]+|exec [\w$-]+|(?:cronjob|horizontalpodautoscaler|poddisruptionbudget) [\w$-]+", command) if "operated" not in found}
    # A pod of the API has a name that its reader looks up.
    named = {found.replace("$NAME", VARIABLES["NAME"]) for found in named - {"pod/$POD"}}
    assert len(named) > 5
    assert named <= there
    # What is looked for in all namespaces is the platform's.
    labels = [pair for command in COMMANDS if "--all-namespaces" not in command for found in re.findall(r"--selector (\S+)", command) for pair in found.replace("$RELEASE", VARIABLES["RELEASE"]).split(",")]
    # The cluster gives it to what it makes of a Service.
    labels = [pair for pair in labels if pair != "kubernetes.io/service-name=$NAME"]
    known = {f"{key}={value}" for o in manifests for key, value in o["metadata"].get("labels", {}).items()}
    assert set(labels) <= known
    containers = {c["name"] for _, pod in manifests.pods() for c in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]}
    assert {name for command in COMMANDS for name in re.findall(r"--(?:container|target) (\S+)", command)} <= containers


def test_one_pod_without_a_last_run_does_not_hide_the_others():
    several = [command for command in COMMANDS if "--previous" in command and "--selector" in command]
    assert several and all("--ignore-errors" in command for command in several)


def test_whether_customers_reach_it_is_asked_where_they_are():
    first = commands((RUNBOOKS / "ApiDown.md").read_text())
    assert [command.rpartition(" ")[2].partition("/")[0] for command in first[:2]] == ["$SHOP", "$SHOP"]


def test_a_pod_without_the_label_is_nobodys():
    [label] = [found for command in COMMANDS for found in re.findall(r"label pod \$POD (\S+)-$", command)]
    manifests = render()
    assert label in manifests.one("Service", "order-food")["spec"]["selector"]
    assert label in manifests.deployment["selector"]["matchLabels"]


def test_processes_are_told_apart_by_what_they_have():
    """The pod's name is in its environment only with tracing on; the host's name always."""
    page = (RUNBOOKS / "HighMemory.md").read_text()
    assert "POD_NAME" not in page and "HOSTNAME=$POD" in page
