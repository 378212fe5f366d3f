"""What an expression asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator

import promql_parser
import yaml
from rules import REPOSITORY, rules

CLUSTER = {
    name: labels
    for source in yaml.safe_load((REPOSITORY / "tests/monitoring/cluster_metrics.yaml").read_text()).values()
    for name, labels in source.items()
}
RECORDED = {rule["record"] for rule in rules() if "record" in rule}
# What Prometheus adds to what it scrapes, here and in the cluster.
TARGET = {"job", "instance", "namespace", "pod"}


def selectors(node: object) -> Iterator[tuple[str, dict[str, str]]]:
    """Every metric of an expression, with the labels that it is selected by and whether equal or not."""
    if isinstance(node, str):
        node = promql_parser.parse(node)
    if isinstance(node, promql_parser.VectorSelector):
        yield node.name, {matcher.name: matcher.value for matcher in node.matchers.matchers}
        return
    for part in ("expr", "lhs", "rhs", "vector_selector", "vs", "param"):
        child = getattr(node, part, None)
        if child is not None:
            yield from selectors(child)
    for child in getattr(node, "args", None) or []:
        yield from selectors(child)


def scraped(text: str) -> dict[str, dict[str, set[str]]]:
    """The metrics of an answer of /metrics, with the values of their labels."""
    found: dict[str, dict[str, set[str]]] = {}
    for line in text.splitlines():
        match = re.match(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$", line)
        if match and not line.startswith("#"):
            labels = found.setdefault(match[1], {})
            for name, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""):
                labels.setdefault(name, set()).add(value)
    return found


def unknown(expression: str, live: dict[str, dict[str, set[str]]]) -> list[str]:
    """What an expression asks for and nobody offers."""
    wrong = []
    for name, labels in selectors(expression):
        if name in RECORDED:
            continue
        known = set(live.get(name, {})) | TARGET if name in live else set(CLUSTER.get(name, ()))
        if not known:
            wrong.append(f"no metric {name}")
        wrong += [f"{name} has no label {label}" for label in labels if known and label not in known]
    return wrong
