"""What Kubernetes says about an object: the schemas of kubernetes-validate, each read once."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import jsonschema
import kubernetes_validate
from referencing import Registry, Resource

SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
MINORS = [f"1.{minor}" for minor in range(30, 38)]
# Kinds that a cluster gets from elsewhere; models.mjs checks them.
CUSTOM = {"HTTPRoute", "PrometheusRule", "ServiceMonitor"}


@cache
def definitions(minor: str) -> Registry:
    """What the schemas of a minor version refer to."""
    text = (SCHEMAS / f"v{minor}.0-local-strict" / "_definitions.json").read_text()
    return Resource.from_contents(json.loads(text)) @ Registry()


@cache
def validator(minor: str, api: str, kind: str) -> jsonschema.Draft202012Validator | None:
    """The validator of a kind, strict: an unknown field is a fault."""
    # rbac.authorization.k8s.io/v1 is in the file rbac-v1.
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api)
    file = SCHEMAS / f"v{minor}.0-local-strict" / f"{kind.lower()}-{group}.json"
    if not file.exists():
        return None
    return jsonschema.Draft202012Validator(json.loads(file.read_text()), registry=definitions(minor))


def faults(resource: dict, minor: str) -> list[str]:
    """What is wrong with an object, by the schema of a minor version."""
    kind = resource["kind"]
    if kind in CUSTOM:
        return []
    check = validator(minor, resource["apiVersion"], kind)
    if check is None:
        return [f"{resource['apiVersion']} {kind} is unknown in {minor}"]
    return [f"{'.'.join(map(str, error.path))}: {error.message}" for error in check.iter_errors(resource)]
