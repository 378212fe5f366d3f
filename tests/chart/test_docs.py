"""README, schema and values say the same, and what the README says to type works."""

import re
import shlex

import pytest
import tools
import yaml
from api_stub import Stub

import docs
from chart import CHART, PROFILES, REPOSITORY, environment, loaded, render

README = (CHART / "README.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
EXAMPLES = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
# What needs pods that run.
NEEDS_PODS = ("kubectl exec ", "kubectl logs ", "kubectl rollout ")


def test_nothing_is_stale():
    assert docs.stale() == []


def test_every_command_of_the_readme_works(tmp_path):
    failed = []
    ran = 0
    for major in tools.HELM:
        with Stub() as stub:
            for command in COMMANDS:
                program, *arguments = shlex.split(command)
                if command.startswith(NEEDS_PODS):
                    continue
                call = {"helm": (tools.HELM[major], "--kube-apiserver"), "kubectl": (tools.KUBECTL["1.30"], "--server")}[program]
                run = tools.run(*call, stub.url, *arguments, home=tmp_path, folder=REPOSITORY)
                ran += 1
                if run.returncode:
                    failed.append(f"helm {major}: {command}: {run.stderr}")
    assert failed == []
    assert ran > 30


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_renders(example):
    values = yaml.safe_load(example)
    assert render(values) != render()


def test_the_chart_says_what_it_is():
    metadata = loaded().metadata
    crate = re.search(r'^version = "(.+)"$', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE)
    assert metadata["appVersion"] == crate[1]
    assert metadata["kubeVersion"] == ">=1.30.0-0"


def test_the_programs_know_the_settings():
    known = (REPOSITORY / "README.md").read_text() + (REPOSITORY / "docs/telemetry.md").read_text()
    for profile in PROFILES:
        manifests = render(profile=profile)
        names = manifests.settings.keys() | environment(manifests.load).keys() - {"POD_NAME", "POD_UID", "NODE_NAME", "PGSSLROOTCERT"}
        # OTEL_EXPORTER_OTLP_TIMEOUT is one of a list there.
        assert [name for name in names if f"`{name}`" not in known] in ([], ["OTEL_EXPORTER_OTLP_TIMEOUT"])
        assert "_TIMEOUT" in known


@pytest.mark.parametrize("profile", PROFILES)
def test_helm_has_nothing_to_say(profile, tmp_path):
    for program in tools.HELM.values():
        run = tools.run(program, "lint", "--strict", CHART, "--values", PROFILES[profile], home=tmp_path)
        assert run.returncode == 0, run.stdout
        assert "WARNING" not in run.stdout
