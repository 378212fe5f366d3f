"""values.schema.json: complete, closed, in step with values.yaml, and tight enough that what it lets through renders."""

import json
import re
from collections.abc import Iterator

import hypothesis
import jsonschema
import pytest
import yaml
from api_stub import repeated
from helm_python.errors import HelmError
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from hypothesis_jsonschema import from_schema

import chart
from docs import parameters
from kinds import MINORS, faults

SCHEMA = json.loads((chart.CHART / "values.schema.json").read_text())
VALUES = (chart.CHART / "values.yaml").read_text()
SAMPLES, PARTS = 200, 2


def resolved(node: dict) -> dict:
    """A part of the schema, with what it refers to."""
    name = node.get("$ref", "").removeprefix("#/definitions/")
    return {**SCHEMA["definitions"][name], **{k: v for k, v in node.items() if k != "$ref"}} if name else node


def leaves(values: dict, schema: dict, path: str = "") -> Iterator[tuple[str, dict | None, dict]]:
    """Paths of values, each with its schema and that of what holds it. A map of labels is one value."""
    for key, value in values.items():
        own = schema.get("properties", {}).get(key)
        own = resolved(own) if own else None
        here = f"{path}.{key}".lstrip(".")
        is_map = own is not None and isinstance(own.get("additionalProperties"), dict)
        if isinstance(value, dict) and value and own is not None and not is_map:
            yield from leaves(value, own, here)
        else:
            yield here, own, schema


def nodes(node: object, path: str = "") -> Iterator[tuple[str, dict]]:
    """Every schema in the schema."""
    if isinstance(node, dict):
        if "type" in node and not isinstance(node["type"], dict):
            yield path, node
        for key, value in node.items():
            yield from nodes(value, f"{path}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from nodes(value, f"{path}/{index}")


def test_every_value_is_typed_described_and_in_a_closed_object():
    found = list(leaves(yaml.safe_load(VALUES), SCHEMA))
    poor = [path for path, own, parent in found if not (own and own.get("type") and own.get("description") and parent.get("additionalProperties") is False)]
    assert len(found) > 150
    assert poor == []


def test_the_schema_knows_no_value_that_is_not_there():
    known = set()

    def walk(schema: dict, values: object, path: str = "") -> None:
        for key, own in schema.get("properties", {}).items():
            here = f"{path}.{key}".lstrip(".")
            if not isinstance(values, dict) or key not in values:
                known.add(here)
            elif values[key] != {}:
                walk(resolved(own), values[key], here)

    walk(SCHEMA, yaml.safe_load(VALUES))
    optional = {"requests.ephemeral-storage", "limits.ephemeral-storage", "limits.cpu"}
    unexpected = {path for path in known if not any(path.endswith(f"resources.{part}") for part in optional)}
    # What has no default: it may be set all the same.
    assert unexpected == {
        "global", "podSecurityContext.supplementalGroups", "podSecurityContext.seccompProfile.localhostProfile", "containerSecurityContext.capabilities.add",
    }


def test_every_string_has_a_pattern_and_every_object_is_closed():
    loose = [path for path, node in nodes(SCHEMA) if "string" in node["type"] and not ("pattern" in node or "enum" in node)]
    is_open = [path for path, node in nodes(SCHEMA) if node["type"] == "object" and "additionalProperties" not in node]
    assert loose == []
    # Values of another chart, and objects of any kind.
    assert is_open == ["/properties/global", "/properties/extraObjects/items", "/properties/extraObjects/items/properties/metadata"]


def test_patterns_are_for_the_whole_text():
    patterns = [node["pattern"] for _, node in nodes(SCHEMA) if "pattern" in node]
    assert len(patterns) > 60
    assert [p for p in patterns if not (p.startswith("^") and p.endswith("$"))] == []
    for pattern in patterns:
        re.compile(pattern)


def test_the_defaults_and_every_scenario_fit():
    chart.loaded().validate_schema({})
    for profile in chart.PROFILES:
        chart.loaded().validate_schema(chart.profile_values(profile))


def test_a_value_may_be_left_to_the_platform():
    chart.loaded().validate_schema({"podSecurityContext": {"runAsUser": None}})
    # Also where null reaches the schema, as in a chart of charts.
    for part in ("podSecurityContext", "postgresql"):
        jsonschema.validate({part: {"runAsUser": None}}, SCHEMA)


def test_every_value_is_documented():
    documented = parameters(VALUES)
    stale = [path for path in documented if not any(path == leaf or leaf.startswith(f"{path}.") for leaf, _, _ in leaves(yaml.safe_load(VALUES), SCHEMA))]
    assert stale == []
    missing = [leaf for leaf, _, _ in leaves(yaml.safe_load(VALUES), SCHEMA) if not any(leaf == path or leaf.startswith(f"{path}.") for path in documented)]
    assert missing == []


def generated(schema: dict) -> SearchStrategy:
    """Values that the schema allows; of the optional ones about half are there."""
    schema = resolved(schema)
    if schema.get("properties") and schema.get("additionalProperties") is False and not {"not", "required"} & schema.keys():
        return st.fixed_dictionaries({}, optional={key: generated(own) for key, own in schema["properties"].items()})
    return from_schema({**schema, "definitions": SCHEMA["definitions"]})


def repaired(values: dict) -> dict:
    """The values without those that contradict each other: nearly all would be refused, for the same few reasons."""
    values = chart.merge(values, {
        "database": {"existingSecret": "" if values.get("postgresql", {}).get("enabled", True) else "external", "maxConnections": 100_000, "reservedConnections": 10},
        "shutdown": {"gracePeriodSeconds": 20_000},
    })
    values["replicaCount"] = min(values.get("replicaCount", 2), 50)
    scaling = values.setdefault("autoscaling", {})
    scaling["minReplicas"], scaling["maxReplicas"] = 1 + scaling.get("minReplicas", 2) % 10, 10 + scaling.get("maxReplicas", 10) % 40
    values["database"]["poolSize"] = min(values["database"].get("poolSize", 5), 500)
    data = values.get("data", {})
    for spare in [source for source in ("existingClaim", "existingConfigMap", "files") if data.get(source)][1:]:
        del data[spare]
    if values.get("nodeAffinityPreset", {}).get("type"):
        values["nodeAffinityPreset"] = {"key": "zone", "values": ["a"], **{k: v for k, v in values["nodeAffinityPreset"].items() if v}}
    if values.get("httpRoute", {}).get("enabled"):
        values["httpRoute"]["parentRefs"] = values["httpRoute"].get("parentRefs") or [{"name": "public"}]
    values["extraVolumeMounts"] = []
    return values


# Always the same values, in parts that run beside each other.
@pytest.mark.parametrize("seed", range(PARTS))
def test_what_the_schema_allows_renders(seed):
    """Generated values render to valid objects, or are refused with a message of the chart's own."""
    tally: dict[str, int] = {"rendered": 0, "invalid": 0}
    bad: list[str] = []
    settings = hypothesis.settings(max_examples=SAMPLES // PARTS * 5 // 4, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck), phases=[hypothesis.Phase.generate])

    @hypothesis.seed(seed)
    @settings
    @hypothesis.given(generated(SCHEMA))
    def look(values: dict) -> None:
        try:
            manifests = chart.render(repaired(values))
        except HelmError as error:
            if "values don't meet the specifications" in str(error):
                # The generator's idea of a pattern is not Helm's.
                tally["invalid"] += 1
            elif not ("execution error" in str(error) and "order-food: " in str(error)):
                bad.append(f"{values}: {error}")
            return
        except yaml.YAMLError as error:
            bad.append(f"{values}: {error}")
            return
        finally:
            chart.rendered.cache_clear()
            chart.objects.cache_clear()
        tally["rendered"] += 1
        own = [o for o in manifests if o["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") == "Helm"]
        wrong = [f"{o['kind']}: {fault}" for o in own for fault in [*faults(o, MINORS[0]), *repeated(o.get("spec", {}))]]
        if wrong:
            bad.append(f"{values}: {wrong}")

    look()
    assert bad == []
    assert tally["rendered"] >= SAMPLES // PARTS
    assert tally["invalid"] <= tally["rendered"] // 10


@pytest.mark.parametrize("minor", MINORS)
def test_strict_schemas_would_notice(minor):
    deployment = chart.render().one("Deployment")
    assert faults(deployment, minor) == []
    deployment["spec"]["template"]["spec"]["containers"][0]["colour"] = "blue"
    assert faults(deployment, minor)
