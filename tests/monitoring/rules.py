"""The rules as they are committed, and as they are made faster for tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[2]
FILES = sorted((REPOSITORY / "helm/order-food/files/rules").glob("*.yaml"))
TESTS = sorted((REPOSITORY / "tests/monitoring/rules").glob("*.yaml"))
RUNBOOKS = REPOSITORY / "docs/runbooks"
MONITORING = REPOSITORY / "deploy/monitoring"
# Labels that tell rules of one name apart.
VARIANTS = ("window", "reason")
# A rule of a name: its name, and the values of these labels.
Rule = tuple[str, ...]

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def rules() -> Iterator[dict]:
    """Every rule."""
    for file in FILES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from group["rules"]


def alerts() -> list[dict]:
    """Every rule that alerts."""
    return [rule for rule in rules() if "alert" in rule]


def identity(alert: dict) -> Rule:
    """What tells an alert from the others."""
    return (alert["alert"], *(alert["labels"][label] for label in VARIANTS if label in alert["labels"]))


def covered(firing: bool) -> list[Rule]:
    """The alerts of the promtool tests that expect them to fire, or not to."""
    found = []
    for file in TESTS:
        for test in yaml.safe_load(file.read_text())["tests"]:
            for case in test["promql_expr_test"]:
                if bool(case["exp_samples"]) == firing:
                    labels = dict(re.findall(r'(\w+)="([^"]*)"', case["expr"]))
                    found.append((labels["alertname"], *(labels[label] for label in VARIANTS if label in labels)))
    return found


def seconds(duration: str) -> float:
    """A duration as Prometheus writes it."""
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|[smhd])", duration))


def faster(rule: dict) -> dict:
    """The rule with an hour as long as a second, but no range shorter than five scrapes: each second there is one.

    Thresholds stay as they are: what fires with this rule also does with the real one, if it lasts as much longer.
    """

    def shorten(duration: str, least: float) -> str:
        return f"{round(max(seconds(duration) / 3600, least) * 1000)}ms"

    expression = re.sub(r"\[(\w+)\]", lambda found: f"[{shorten(found[1], 5)}]", rule["expr"])
    expression = re.sub(r"\boffset (\w+)", lambda found: f"offset {shorten(found[1], 5)}", expression)
    expression = re.sub(r"\b(\d+) \* 3600\b", r"\1", expression)
    changed = rule | {"expr": expression}
    return changed | ({"for": shorten(rule["for"], 1)} if "for" in rule else {})


def write_faster(folder: Path) -> Path:
    """All rules, faster, in one file."""
    groups = []
    for file in FILES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            groups.append(group | {"interval": "1s", "rules": [faster(rule) for rule in group["rules"]]})
    target = folder / "rules.yaml"
    target.write_text(yaml.safe_dump({"groups": groups}, sort_keys=False))
    return target
