"""Commands that choose pods by labels choose those that are meant: not the pod that helm test leaves, for example."""

import copy
import re
import shlex
from pathlib import Path

import pytest

import tools
from api_stub import Stub
from chart import CHART, GOLDEN, REPOSITORY, containers, render
from test_runbooks import VARIABLES

PAGES = [*(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / "README.md", CHART / "README.md", CHART / "templates/NOTES.txt"]
OPTIONS = {"--selector": "selector", "-l": "selector", "--container": "container", "-c": "container"}
LEFT = "the last release's test"


def written(page: Path) -> list[str]:
    """The commands of a page that choose by labels, in blocks and in the text, each up to its first pipe."""
    text = page.read_text().replace("{{ $namespace }}", "default")
    found = re.findall(r"^ *(kubectl .*)$", text, re.M) + re.findall(r"`(kubectl [^`\n]+)`", text)
    return [command.partition(" | ")[0] for command in found if re.search(r" (--selector|-l)\b", command)]


EVERY = [(page, command) for page in PAGES for command in written(page)]


def expanded(command: str, variables: dict[str, str]) -> list[str]:
    """Its words, as a shell hands them over."""
    return shlex.split(re.sub(r"\$\(.*?\)", "1", re.sub(r"\$([A-Z]+)", lambda name: variables[name[1]], command)))


def pods(release: str) -> dict[str, dict]:
    """All pods that a release ever has, by what makes them: those of jobs, of helm test, and what an older one left."""
    found = dict(render(job__enabled=True, name=release).pods())
    [test] = [pod for name, pod in found.items() if name.startswith("Pod/")]
    found[LEFT] = copy.deepcopy(test)
    found[LEFT]["metadata"]["labels"]["app.kubernetes.io/name"] = "order-food"
    return found


def faults(command: str, release: str = VARIABLES["RELEASE"]) -> list[str]:
    """What is wrong with the pods that a command chooses."""
    words = expanded(command, {**VARIABLES, "RELEASE": release})
    given = {OPTIONS[option]: value for option, value in zip(words, words[1:]) if option in OPTIONS}
    wanted = dict(pair.split("=") for pair in given["selector"].split(","))
    verb = next(word for word in words if word in ("describe", "delete", "get", "logs", "top", "wait"))
    if verb != "logs" and not {"pod", "pods"} & set(words) or "kube-state-metrics" in wanted.values():
        return []
    chosen = {name: pod for name, pod in pods(release).items() if wanted.items() <= pod["metadata"]["labels"].items()}
    components = {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in chosen.values()}
    wrong = [f"{name} has no container {given['container']}" for name, pod in chosen.items() if "container" in given and given["container"] not in [c["name"] for c in containers(pod["spec"])]]
    if len(components) != 1:
        wrong.append(f"pods of {sorted(components) or 'nothing'}")
    return wrong


@pytest.mark.parametrize(("page", "command"), [pytest.param(*each, id=f"{each[0].stem}-{number}") for number, each in enumerate(EVERY)])
def test_commands_choose_what_they_mean(page, command):
    # Those of the requirements have no component. They may still choose what the last release's test left, which goes with
    # the next helm test.
    excused = {f"{LEFT} has no container {name}" for name in ("database-migration", "database-load")} | {"pods of ['api', 'test']"} if page.name == "requirements.md" else set()
    assert set(faults(command)) <= excused


def test_there_are_such_commands():
    assert len(EVERY) > 30 and {page.name for page, _ in EVERY} >= {"troubleshooting.md", "operations.md", "requirements.md", "README.md", "NOTES.txt", "ApiDown.md"}


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("kubectl logs --selector app.kubernetes.io/name=order-food --container database-migration --tail=50", f"{LEFT} has no container database-migration"),
        ("kubectl get pods --selector app.kubernetes.io/name=order-food", "pods of ['api', 'test']"),
        ("kubectl logs -l app.kubernetes.io/instance=$RELEASE -c order-food", "Pod/lunch-order-food-test has no container order-food"),
        ("kubectl --namespace $NAMESPACE logs --selector app.kubernetes.io/component=postgresql --container order-food", "StatefulSet/lunch-order-food-postgresql has no container order-food"),
        ("kubectl wait --for=delete pod --selector app.kubernetes.io/component=app", "pods of nothing"),
    ],
)
def test_others_are_found(command, fault):
    assert fault in faults(command)


@pytest.mark.parametrize("version", tools.KUBECTL)
def test_logs_come_after_helm_test(version, tmp_path):
    variables = {**VARIABLES, "NAMESPACE": "default", "NAME": "order-food", "RELEASE": "order-food"}

    def asks(program: Path, option: str, *words: str) -> str:
        run = tools.run(program, option, stub.url, *words, home=tmp_path, folder=REPOSITORY)
        assert run.returncode == 0, f"{words}: {run.stderr}"
        return run.stdout

    def logs(are_by_heart: bool) -> None:
        commands = {command for page, command in EVERY if " logs " in command and (page.name == "requirements.md") is are_by_heart}
        assert commands
        for command in commands:
            words = [word for word in expanded(command, variables)[1:] if word != "--ignore-errors"]
            assert "log of " in asks(tools.KUBECTL[version], "--server", *words)

    with Stub() as stub:
        helm = (tools.HELM["3"], "--kube-apiserver")
        asks(*helm, "install", "order-food", str(GOLDEN))
        asks(*helm, "test", "order-food")
        asks(*helm, "upgrade", "order-food", "./helm/order-food")
        stub.store.start_pods()
        logs(are_by_heart=False)
        asks(*helm, "test", "order-food")
        # What many type without the component.
        logs(are_by_heart=True)
