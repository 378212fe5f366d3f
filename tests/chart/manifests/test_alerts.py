"""The PrometheusRule: the files that Prometheus takes as they are, with the release's own names."""

import json
import re

import pytest
import yaml

from chart import CHART, refusal, render

FILES = sorted((CHART / "files/rules").glob("*.yaml"))


def groups(**options):
    """The groups of rules of a release, by name."""
    values = {"enabled": True} | options.pop("values", {})
    found = render(metrics__prometheusRule=values, metrics__serviceMonitor__enabled=True, **options).one("PrometheusRule")["spec"]["groups"]
    assert len({group["name"] for group in found}) == len(found)
    return {group["name"]: group["rules"] for group in found}


def committed():
    """The groups of rules of the files, by name."""
    return {group["name"]: group["rules"] for file in FILES for group in yaml.safe_load(file.read_text())["groups"]}


def flat(rules):
    """Rules as one text."""
    return json.dumps(rules, sort_keys=True).replace('\\"', '"')


def test_rules_are_those_of_the_files():
    assert len(FILES) == len(committed()) == 4
    # The files speak of a release order-food in the namespace default; the objectives are the same numbers.
    text = flat(groups()).replace('namespace="shop"', 'namespace="default"').replace("(1 - 0.99)", "(1 - 0.990)")
    assert text == flat(committed())


def test_there_are_none_unless_wanted():
    assert not render().has("PrometheusRule")
    labels = render(metrics__prometheusRule={"enabled": True, "labels": {"release": "prometheus"}}, metrics__serviceMonitor__enabled=True).one("PrometheusRule")["metadata"]["labels"]
    assert labels["release"] == "prometheus"
    assert (labels["app.kubernetes.io/name"], labels["app.kubernetes.io/component"]) == ("order-food", "api")


def test_rules_ask_for_this_release():
    manifests = render(metrics__prometheusRule__enabled=True, metrics__serviceMonitor__enabled=True, autoscaling__enabled=True, name="lunch")
    rules = manifests.one("PrometheusRule")
    assert (rules["metadata"]["name"], rules["metadata"]["namespace"]) == ("lunch-order-food", "shop")
    text = flat(rules["spec"])
    # The operator takes the Service's name for the label job.
    assert set(re.findall(r'\bjob="([^"]+)"', text)) == {manifests.one("Service", "lunch-order-food")["metadata"]["name"]}
    assert set(re.findall(r'namespace="([^"]+)"', text)) == {"shop"}
    assert set(re.findall(r'horizontalpodautoscaler="([^"]+)"', text)) == {manifests.one("HorizontalPodAutoscaler")["metadata"]["name"]}
    assert set(re.findall(r'poddisruptionbudget="([^"]+)"', text)) == {manifests.one("PodDisruptionBudget")["metadata"]["name"]}
    assert set(re.findall(r'deployment="([^"]+)"', text)) == {manifests.one("Deployment")["metadata"]["name"]}
    assert set(re.findall(r'cronjob="([^"]+)"', text)) == {manifests.one("CronJob")["metadata"]["name"]}


def test_containers_have_the_names_that_rules_ask_for():
    manifests = render()
    names = {container["name"] for _, pod in manifests.pods() for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]}
    asked = {name for found in re.findall(r'container=~?"([^"]+)"', flat(groups())) for name in found.split("|")}
    assert asked == {"order-food", "database-migration", "database-load"} <= names


@pytest.mark.parametrize(("availability", "latency"), [(0.9995, 0.95), (0.99, 0.999), (0.999, 0.99)])
def test_objectives(availability, latency):
    rules = groups(values={"availabilityObjective": availability, "latencyObjective": latency})["order-food.slo"]
    for rule in rules:
        if "alert" in rule:
            objective = availability if rule["alert"].startswith("OrderError") else latency
            assert set(re.findall(r"\(1 - ([\d.]+)\)", rule["expr"])) == {str(objective)}


def test_runbooks_may_be_elsewhere():
    rules = [rule for found in groups(values={"runbookUrl": "https://wiki.example/shop"}).values() for rule in found if "alert" in rule]
    assert [rule["annotations"]["runbook_url"] for rule in rules] == [f"https://wiki.example/shop/{rule['alert']}.md" for rule in rules]


def test_alerts_can_be_left_out():
    everything, cluster = groups(), [rule["alert"] for rule in committed()["order-food.cluster"]]
    fewer = groups(values={"disabledAlerts": ["HighCpu", "CronJobStale"]})
    gone = [rule["alert"] for name, rules in everything.items() for rule in rules if rule not in fewer[name]]
    assert gone == ["HighCpu", "CronJobStale"]
    # A group without rules is none.
    assert set(everything) - set(groups(values={"disabledAlerts": cluster})) == {"order-food.cluster"}


@pytest.mark.parametrize("values", [
    {"runbookUrl": "wiki"}, {"runbookUrl": "https://wiki.example/ x"}, {"runbookUrl": "https://wiki.example/"}, {"availabilityObjective": 1}, {"latencyObjective": 99},
    {"disabledAlerts": ["not an alert"]},
])
def test_nonsense_is_refused(values):
    assert next(iter(values)) in refusal(metrics__prometheusRule=values)
