"""What the chaos scripts ask kubectl for, with the real one: pods that stay, and nodes that take pods."""

import subprocess
from pathlib import Path

import pytest

import tools
from api_stub import Stub
from chart import REPOSITORY, render

GOING = "2026-11-30T10:00:00Z"
# Pods of the API by name: node, whether it is ready, how often it started again, when it was told to go, phase.
PODS = {
    "order-food-1": ("node-a", "True", 2, None, "Running"),
    "order-food-2": ("node-b", "False", 0, None, "Running"),
    "order-food-3": (None, None, None, None, "Pending"),
    "order-food-old": ("node-c", "True", 7, GOING, "Running"),
    "order-food-evicted": ("node-d", "False", 1, None, "Failed"),
}
NODES = {
    "node-a": {}, "node-b": {"taints": [{"key": "mine", "effect": "NoSchedule"}]},
    "node-c": {"unschedulable": True}, "node-d": {}, "node-e": {"ready": "Unknown"},
    "node-f": {"taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]},
    "node-g": {"taints": [{"key": "full", "effect": "PreferNoSchedule"}]},
}


def pod(name: str) -> dict:
    """One of the API, with a proxy beside it."""
    node, ready, restarts, going, phase = PODS[name]
    labels = render().one("Deployment")["spec"]["template"]["metadata"]["labels"]
    statuses = [{"name": "a-proxy", "restartCount": 9}, {"name": "order-food", "restartCount": restarts}] if restarts is not None else []
    conditions = [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": ready}] if ready else []
    metadata = {"name": name, "namespace": "shop", "labels": labels, **({"deletionTimestamp": going} if going else {})}
    spec = {"containers": [{"name": "order-food"}], **({"nodeName": node} if node else {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": phase, "containerStatuses": statuses, "conditions": conditions}}


def node(name: str) -> dict:
    """One that is ready unless it says otherwise."""
    spec = dict(NODES[name])
    ready = spec.pop("ready", "True")
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec, "status": {"conditions": [{"type": "DiskPressure", "status": "False"}, {"type": "Ready", "status": ready}]}}


@pytest.mark.parametrize("version", tools.KUBECTL)
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("ready_pods", ["order-food-1"]),
        ("restarts", ["order-food-1 2", "order-food-2 0", "order-food-3"]),
        ("nodes_of api", ["node-a", "node-b"]),
        ("open_nodes", ["node-a", "node-b", "node-d", "node-g"]),
    ],
)
def test_what_is_going_away_does_not_count(version: str, asked: str, told: list[str], tmp_path: Path) -> None:
    with Stub() as stub:
        for name in PODS:
            stub.store.objects["v1", "Pod", "shop", name] = pod(name)
        for name in NODES:
            stub.store.objects["v1", "Node", "", name] = node(name)
        (tmp_path / "kubectl").write_text(f'#!/bin/sh\nexec {tools.KUBECTL[version]} --server {stub.url} "$@"\n')
        (tmp_path / "kubectl").chmod(0o755)
        script = f"set -euo pipefail; namespace=shop release=order-food; . scripts/chaos/shop.sh; trap leave_shop EXIT; {asked}"
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "KUBECONFIG": "/dev/null"}
        done = subprocess.run(["bash", "-c", script], env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [line.strip() for line in done.stdout.splitlines()] == told
