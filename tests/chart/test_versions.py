"""Every scenario's objects, by the strict schemas of every minor version, and custom kinds by typed models."""

import json
from pathlib import Path

import pytest
import tools

from chart import PROFILES, render
from kinds import CUSTOM, MINORS, faults
from security import violations

HERE = Path(__file__).parent


def test_every_scenario_in_every_version():
    passed = 0
    messages = []
    for profile in PROFILES:
        custom = model_faults([o for o in render(profile=profile) if o["kind"] in CUSTOM])
        for minor in MINORS:
            found = [*custom, *(f"{profile}, {minor}: {fault}" for o in render(profile=profile) for fault in faults(o, minor))]
            messages += found
            passed += not found
    assert messages == []
    assert passed == len(PROFILES) * len(MINORS)


def model_faults(resources: list[dict]) -> list[str]:
    """What the typed models say."""
    if not resources:
        return []
    # Beside the modules that it needs.
    script = tools.FOLDER / "models.mjs"
    script.write_text((HERE / "models.mjs").read_text())
    run = tools.run("node", script, text=json.dumps(resources), home=tools.FOLDER)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_node_is_the_one_that_was_installed():
    run = tools.run("node", "--print", "process.execPath", home=tools.FOLDER)
    assert Path(run.stdout.strip()).is_relative_to(tools.FOLDER), "not the distribution's, which may be too old"


def test_scenarios_have_the_custom_kinds():
    assert {o["kind"] for profile in PROFILES for o in render(profile=profile)} >= CUSTOM


@pytest.mark.parametrize(("kind", "path", "value"), [
    ("ServiceMonitor", ("endpoints",), "all"),
    ("ServiceMonitor", ("endpoints", 0, "interval"), "often"),
    ("PrometheusRule", ("groups", 0, "rules", 0, "expr"), None),
    ("PrometheusRule", ("groups", 0, "name"), ""),
    ("HTTPRoute", ("rules", 0, "matches", 0, "path", "type"), "Suffix"),
    ("HTTPRoute", ("parentRefs", 0, "port"), 0),
])
def test_models_would_notice(kind, path, value):
    [resource] = [o for profile in PROFILES for o in render(profile=profile) if o["kind"] == kind]
    target = resource["spec"]
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    assert model_faults([resource])


def test_pods_are_restricted():
    found = [f"{profile}, {name}: {fault}" for profile in PROFILES for name, pod in render(profile=profile).pods() for fault in violations(pod["spec"])]
    pods = sum(len(list(render(profile=profile).pods())) for profile in PROFILES)
    assert found == []
    assert pods > 12


@pytest.mark.parametrize("change", [
    lambda pod: pod.update(hostNetwork=True),
    lambda pod: pod["securityContext"].pop("seccompProfile"),
    lambda pod: pod["securityContext"].update(runAsNonRoot=False),
    lambda pod: pod["securityContext"].update(runAsUser=0),
    lambda pod: pod["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
    lambda pod: pod["initContainers"][0].pop("securityContext"),
    lambda pod: pod["containers"][0]["securityContext"].update(allowPrivilegeEscalation=True),
    lambda pod: pod["containers"][0]["securityContext"].update(privileged=True),
    lambda pod: pod["containers"][0]["securityContext"].update(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
    lambda pod: pod["containers"][0]["ports"][0].update(hostPort=80),
])
def test_the_restricted_check_would_notice(change):
    pod = render().api_pod
    assert list(violations(pod)) == []
    change(pod)
    assert list(violations(pod))
