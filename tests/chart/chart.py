"""The chart: rendered by Helm's own library in this process, and taken apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import yaml
from helm_python.chart import Chart
from helm_python.errors import HelmError

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "helm" / "order-food"
# The last release, as it was packaged.
[GOLDEN] = (Path(__file__).parent / "golden").glob("*.tgz")
PROFILES = {file.name.removesuffix("-values.yaml"): file for file in sorted((REPOSITORY / "helm/order-food/ci").glob("*-values.yaml"))}
NAMESPACE = "shop"
EXTERNAL = {"postgresql": {"enabled": False}, "database": {"existingSecret": "external"}}


class Loader(yaml.CSafeLoader):
    """Refuses a key that occurs twice in a mapping; YAML would take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"{twice} occurs twice", node.start_mark)
        return super().construct_mapping(node, deep)


# PyYAML finds a meaning in a lone = that nobody else does.
Loader.add_constructor("tag:yaml.org,2002:value", Loader.construct_scalar)


class Manifests(list):
    """The objects of a release."""

    notes = ""

    def all(self, kind: str) -> list[dict]:
        return [o for o in self if o["kind"] == kind]

    def one(self, kind: str, name: str | None = None) -> dict:
        found = [o for o in self.all(kind) if name in (None, o["metadata"]["name"])]
        assert len(found) == 1, f"{len(found)} objects {kind} {name or ''}"
        return found[0]

    def has(self, kind: str) -> bool:
        return bool(self.all(kind))

    def pods(self) -> Iterator[tuple[str, dict]]:
        """Every pod template, with the name of what makes the pods."""
        for resource in self:
            template = pod_template(resource)
            if template:
                yield f"{resource['kind']}/{resource['metadata']['name']}", template

    # The objects that nearly every test is about.

    @property
    def deployment(self) -> dict:
        return self.one("Deployment")["spec"]

    @property
    def api_pod(self) -> dict:
        return self.deployment["template"]["spec"]

    @property
    def api(self) -> dict:
        return named(self.api_pod["containers"], "order-food")

    @property
    def cronjob(self) -> dict:
        return self.one("CronJob", "database-load")["spec"]

    @property
    def load_pod(self) -> dict:
        return self.cronjob["jobTemplate"]["spec"]["template"]["spec"]

    @property
    def load(self) -> dict:
        return named(self.load_pod["containers"], "database-load")

    @property
    def postgresql_pod(self) -> dict:
        return self.one("StatefulSet")["spec"]["template"]["spec"]

    @property
    def settings(self) -> dict:
        """What all three programs find in their environment."""
        return self.one("ConfigMap", self.one("Deployment")["metadata"]["name"])["data"]


def pod_template(resource: dict) -> dict | None:
    """The template of the pods that an object makes; a pod is its own."""
    if resource["kind"] == "Pod":
        return resource
    spec = resource.get("spec") or {}
    if resource["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec.get("template")


def named(entries: list[dict], name: str) -> dict:
    """The entry of a list with this name."""
    found = [entry for entry in entries if entry["name"] == name]
    assert len(found) == 1, f"{len(found)} entries named {name}"
    return found[0]


def environment(container: dict) -> dict:
    """The variables that a container gets by itself, beside the common settings."""
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def containers(pod: dict) -> list[dict]:
    """All containers of a pod, those that run first included."""
    return pod.get("initContainers", []) + pod["containers"]


@cache
def loaded() -> Chart:
    """The chart as Helm has it."""
    return Chart.load(CHART)


@cache
def profile_values(profile: str) -> dict:
    """The values of a scenario."""
    return yaml.load(PROFILES[profile].read_text(), Loader) or {}


@cache
def objects(text: str) -> str:
    """A rendered file's objects, as JSON: it is read for each test anew, and many render the same file."""
    return json.dumps([o for o in yaml.load_all(text, Loader) if o])


def parse(files: dict[str, str]) -> Manifests:
    """Rendered files, as objects."""
    manifests = Manifests()
    for path, text in sorted(files.items()):
        if path.endswith("NOTES.txt"):
            manifests.notes = text
        else:
            manifests.extend(json.loads(objects(text)))
    return manifests


def nested(assignments: dict) -> dict:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`."""
    values: dict = {}
    for path, value in assignments.items():
        *parents, last = path.split(".")
        target = values
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    return values


def merge(*parts: dict) -> dict:
    """Values laid over values, the later ones on top."""
    result: dict = {}
    for part in parts:
        for key, value in part.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merge(result[key], value) if both else value
    return result


@cache
def rendered(values: str, name: str, revision: int) -> dict[str, str]:
    """The rendered files. Helm checks the values against the schema first."""
    return loaded().render(json.loads(values), name=name, namespace=NAMESPACE, revision=revision, is_install=True)


def render(values: dict | None = None, /, *, profile: str = "default", name: str = "order-food", revision: int = 1, **assignments: object) -> Manifests:
    """A scenario's objects, with more values: nested as in a file, or `autoscaling__enabled=True`."""
    dotted = nested({path.replace("__", "."): value for path, value in assignments.items()})
    combined = merge(profile_values(profile), values or {}, dotted)
    return parse(rendered(json.dumps(combined), name, revision))


def refusal(values: dict | None = None, /, **options: object) -> str:
    """The message with which values are refused."""
    try:
        render(values, **options)
    except HelmError as error:
        return str(error)
    raise AssertionError("rendered, though it should not")
