"""The rules: right as promtool sees them, tested, routed, and about metrics that exist."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter

import pytest
import yaml
from promql import RECORDED, scraped, selectors, unknown
from rules import FILES, MONITORING, TESTS, alerts, covered, faster, identity, rules

BASE = "https://github.com/OWNER/order-food/blob/main/docs/runbooks/"
ALERTMANAGER = MONITORING / "alertmanager.yml"
each_alert = pytest.mark.parametrize("alert", alerts(), ids=lambda alert: "-".join(identity(alert)))


def run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_finds_nothing_wrong() -> None:
    # Of the configuration, and of the rules that it names.
    out = run("promtool", "check", "config", "--lint=all", "--lint-fatal", MONITORING / "prometheus.yml")
    assert out.count("rules found") == len(FILES)
    run("amtool", "check-config", ALERTMANAGER)


def test_alerts_fire_and_are_silent_as_they_should() -> None:
    run("promtool", "test", "rules", *TESTS)
    there = {identity(alert) for alert in alerts()}
    assert set(covered(firing=True)) == there
    assert set(covered(firing=False)) == there


def test_nothing_is_there_twice() -> None:
    twice = [name for name, times in Counter(identity(alert) for alert in alerts()).items() if times > 1]
    twice += [name for name, times in Counter(rule["record"] for rule in rules() if "record" in rule).items() if times > 1]
    names = [test["name"] for file in TESTS for test in yaml.safe_load(file.read_text())["tests"]]
    twice += [name for name, times in Counter(names).items() if times > 1]
    assert twice == []


@each_alert
def test_an_alert_says_what_who_and_where(alert: dict) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert alert["labels"]["owner"] in ("order-food", "platform")
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"{BASE}{alert['alert']}.md"


@each_alert
def test_an_alert_is_about_this_shop(alert: dict) -> None:
    """Another shop in the same cluster has its own; nodes and certificates are everybody's."""
    for name, labels in selectors(alert["expr"]):
        if not re.match("kube_node_|certmanager_|nginx_", name):
            assert labels.get("namespace") == "default", name


def test_a_failed_load_never_pages() -> None:
    """The refresh may fail without harm."""
    for name in ("CronJobFailed", "CronJobStale"):
        [alert] = [alert for alert in alerts() if alert["alert"] == name]
        assert alert["labels"]["severity"] == "warning"
        assert receiver(alert) == "tickets"


def receiver(alert: dict) -> str:
    labels = [f"{key}={value}" for key, value in ({"alertname": alert["alert"]} | alert["labels"]).items()]
    return run("amtool", "config", "routes", "test", "--config.file", ALERTMANAGER, *labels).strip()


@each_alert
def test_critical_alerts_wake_somebody_and_no_other(alert: dict) -> None:
    expected = "on-call" if alert["labels"]["severity"] == "critical" else {"platform": "platform", "order-food": "tickets"}[alert["labels"]["owner"]]
    assert receiver(alert) == expected


def test_what_is_held_back_exists() -> None:
    names = {alert["alert"] for alert in alerts()}
    for inhibition in yaml.safe_load(ALERTMANAGER.read_text())["inhibit_rules"]:
        for matcher in inhibition["source_matchers"] + inhibition["target_matchers"]:
            assert set(re.fullmatch(r'alertname =~? "?([^"]*)"?', matcher)[1].split("|")) <= names


def test_recorded_series_are_used_and_those_used_are_recorded() -> None:
    used = {name for alert in alerts() for name, _ in selectors(alert["expr"]) if ":" in name}
    assert used == RECORDED


def test_metrics_exist(metrics: str) -> None:
    live = scraped(metrics)
    assert len(live) > 50
    wrong = [f"{rule.get('alert', rule.get('record'))}: {fault}" for rule in rules() for fault in unknown(rule["expr"], live)]
    assert wrong == []


def test_values_of_labels_exist(metrics: str) -> None:
    """A route or a state that nobody ever says would keep an alert silent."""
    live = scraped(metrics)
    for rule in rules():
        for name, labels in selectors(rule["expr"]):
            for label, value in labels.items():
                seen = live.get(name, {}).get(label)
                if seen and re.fullmatch(r"[\w/.+-]+", value):
                    assert value in seen or label == "http_response_status_code", f"{name}: {label} is never {value}"


def test_faster_rules_keep_their_thresholds() -> None:
    rule = {"alert": "X", "expr": "rate(a[5m]) > 5 and b[3d] offset 6h > 60 * 3600", "for": "15m", "labels": {}}
    assert faster(rule) == {"alert": "X", "expr": "rate(a[5000ms]) > 5 and b[72000ms] offset 6000ms > 60", "for": "1000ms", "labels": {}}
    assert json.dumps([faster(rule) for rule in rules()]).count("[3d]") == 0
