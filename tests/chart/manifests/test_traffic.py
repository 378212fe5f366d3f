"""Who reaches what: Service, Ingress, HTTPRoute, NetworkPolicies, metrics."""

import json

import pytest

from chart import CHART, render

PUBLIC = {"/": "Exact", "/api": "Prefix", "/docs": "Prefix", "/openapi.json": "ImplementationSpecific", "/openapi.yaml": "ImplementationSpecific"}


def test_service():
    spec = render().one("Service", "order-food")["spec"]
    assert spec["type"] == "ClusterIP"
    assert spec["ports"] == [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    changed = render(service__type="NodePort", service__port=8080).one("Service", "order-food")["spec"]
    assert (changed["type"], changed["ports"][0]["port"]) == ("NodePort", 8080)


def test_ingress_publishes_the_public_paths_only():
    manifests = render(ingress={"enabled": True, "className": "nginx", "hosts": ["a.example", "*.b.example"], "tlsSecret": "tls", "annotations": {"x": "y"}})
    ingress = manifests.one("Ingress")
    assert ingress["metadata"]["annotations"] == {"x": "y"}
    spec = ingress["spec"]
    assert spec["ingressClassName"] == "nginx"
    assert spec["tls"] == [{"secretName": "tls", "hosts": ["a.example", "*.b.example"]}]
    assert [rule["host"] for rule in spec["rules"]] == ["a.example", "*.b.example"]
    for rule in spec["rules"]:
        assert {path["path"]: path["pathType"] for path in rule["http"]["paths"]} == PUBLIC
        assert all(path["backend"] == {"service": {"name": "order-food", "port": {"name": "http"}}} for path in rule["http"]["paths"])


def test_ingress_for_every_host():
    spec = render(ingress__enabled=True, ingress__tlsSecret="tls").one("Ingress")["spec"]
    assert len(spec["rules"]) == 1
    assert "host" not in spec["rules"][0]
    assert spec["tls"] == [{"secretName": "tls"}]
    assert "ingressClassName" not in spec
    assert "tls" not in render(ingress__enabled=True).one("Ingress")["spec"]
    assert not render().has("Ingress")


def test_route_publishes_the_same():
    parents = [{"name": "public", "namespace": "gateways", "sectionName": "https", "port": 443}]
    manifests = render(httpRoute={"enabled": True, "parentRefs": parents, "hostnames": ["a.example"], "annotations": {"x": "y"}}, service__port=81)
    route = manifests.one("HTTPRoute")
    assert route["metadata"]["annotations"] == {"x": "y"}
    [rule] = route["spec"].pop("rules")
    assert route["spec"] == {"parentRefs": parents, "hostnames": ["a.example"]}
    types = {"Exact": "Exact", "Prefix": "PathPrefix", "ImplementationSpecific": "Exact"}
    assert {m["path"]["value"]: m["path"]["type"] for m in rule["matches"]} == {path: types[kind] for path, kind in PUBLIC.items()}
    assert rule["backendRefs"] == [{"name": "order-food", "port": 81}]
    assert "hostnames" not in render(httpRoute={"enabled": True, "parentRefs": parents}).one("HTTPRoute")["spec"]
    assert not render().has("HTTPRoute")


def test_service_monitor():
    monitor = render(metrics__serviceMonitor={"enabled": True, "interval": "15s", "scrapeTimeout": "5s", "labels": {"release": "prometheus"}}).one("ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    service = render().one("Service", "order-food")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert not monitor["spec"]["selector"]["matchLabels"].items() <= render().one("Service", "order-food-postgresql")["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"] == [{"port": "http", "path": "/metrics", "interval": "15s", "scrapeTimeout": "5s"}]
    assert not render().has("ServiceMonitor")


def test_grafana_dashboards():
    files = {file.stem: file.read_text() for file in sorted((CHART / "files/dashboards").glob("*.json"))}
    labels = {"grafana_dashboard": "1", "release": "grafana"}
    manifests = render(metrics__grafanaDashboards={"enabled": True, "labels": labels, "annotations": {"grafana_folder": "Shop"}})
    found = {o["metadata"]["name"]: o for o in manifests.all("ConfigMap") if "-dashboard-" in o["metadata"]["name"]}
    assert found.keys() == {f"order-food-dashboard-{name}" for name in files} and len(files) == 6
    for name, text in files.items():
        made = found[f"order-food-dashboard-{name}"]
        # The latency's objective is written as the values have it.
        assert made["data"] == {f"order-food-{name}.json": text.rstrip("\n").replace('"99.0"', '"99"')}
        assert made["metadata"]["labels"].items() >= labels.items()
        assert made["metadata"]["annotations"] == {"grafana_folder": "Shop"}
        assert json.loads(text)["uid"] == f"order-food-{name}"
    assert not [o for o in render().all("ConfigMap") if "-dashboard-" in o["metadata"]["name"]]
    standard = render(metrics__grafanaDashboards__enabled=True).one("ConfigMap", "order-food-dashboard-api")
    assert standard["metadata"]["labels"]["grafana_dashboard"] == "1"


def variables(dashboard, **values):
    """What a dashboard of the chart offers to choose, and where it begins."""
    [text] = render(metrics__grafanaDashboards__enabled=True, **values).one("ConfigMap", f"order-food-dashboard-{dashboard}")["data"].values()
    return {each["name"]: each for each in json.loads(text)["templating"]["list"]}


@pytest.mark.parametrize(("availability", "latency"), [(0.999, 0.99), (0.99, 0.999), (0.9995, 0.95)])
def test_dashboards_have_the_objectives_of_the_alerts(availability, latency):
    found = variables("slo", metrics__prometheusRule__availabilityObjective=availability, metrics__prometheusRule__latencyObjective=latency)
    for name, share in (("availability", availability), ("latency", latency)):
        percent = f"{share * 100:.6g}"
        assert (found[name]["query"], found[name]["current"]) == (percent, {"text": percent, "value": percent})


def test_dashboards_link_to_the_jaeger_of_the_values():
    for name in ("api", "slo", "kubernetes"):
        found = variables(name, metrics__grafanaDashboards__jaegerUrl="https://jaeger.example/ui")["jaeger"]
        assert (found["query"], found["current"]["value"]) == ("https://jaeger.example/ui", "https://jaeger.example/ui")


def test_the_dashboard_of_pods_begins_with_the_release():
    manifests = render(metrics__grafanaDashboards__enabled=True, fullnameOverride="diner")
    [text] = manifests.one("ConfigMap", "diner-dashboard-kubernetes")["data"].values()
    queries = {each["name"]: each["query"]["query"] for each in json.loads(text)["templating"]["list"] if each["type"] == "query"}
    assert queries == {
        "namespace": 'label_values(kube_deployment_spec_replicas{deployment=~".*diner.*"}, namespace)',
        "deployment": 'label_values(kube_deployment_spec_replicas{namespace=~"$namespace",deployment=~".*diner.*"}, deployment)',
    }


def policies(**values):
    values = {"networkPolicy__enabled": True, **values}
    return {o["metadata"]["name"].removeprefix("order-food"): o["spec"] for o in render(**values).all("NetworkPolicy")}


def labels(name, component):
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": "order-food", "app.kubernetes.io/component": component}


def pods(name, component):
    return {"podSelector": {"matchLabels": labels(name, component)}}


def namespace(name):
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def namespaces(*names):
    return {"namespaceSelector": {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(names)}]}}


# 5353 is where OpenShift's pods answer, which is what its policies see.
DNS = {"ports": [{"port": port, "protocol": protocol} for port in (53, 5353) for protocol in ("UDP", "TCP")]}
POSTGRESQL = {"to": [pods("postgresql", "postgresql")], "ports": [{"port": 5432, "protocol": "TCP"}]}


def test_no_policies_unless_asked_for():
    assert not render().has("NetworkPolicy")


def test_every_pod_has_a_policy_for_both_directions():
    manifests = render(networkPolicy__enabled=True, job__enabled=True)
    selectors = [o["spec"]["podSelector"]["matchLabels"] for o in manifests.all("NetworkPolicy")]
    for name, pod in manifests.pods():
        matching = [s for s in selectors if s.items() <= pod["metadata"]["labels"].items()]
        assert len(matching) == 1, name
    assert all(o["spec"]["policyTypes"] == ["Ingress", "Egress"] for o in manifests.all("NetworkPolicy"))


def test_policy_of_the_api():
    spec = policies()[""]
    assert spec["podSelector"]["matchLabels"] == labels("order-food", "api")
    http = [{"port": "http", "protocol": "TCP"}]
    assert spec["ingress"] == [{"from": [namespaces("ingress-nginx"), namespace("monitoring"), pods("order-food-test", "test")], "ports": http}]
    assert spec["egress"] == [DNS, POSTGRESQL]
    unmetered = policies(metrics__enabled=False)[""]
    assert unmetered["ingress"][0]["from"] == [namespaces("ingress-nginx"), pods("order-food-test", "test")]


def test_policy_of_the_loads():
    spec = policies()["-load"]
    assert spec["podSelector"]["matchLabels"] == labels("database-load", "load")
    assert "ingress" not in spec
    assert spec["egress"] == [DNS, POSTGRESQL]


def test_policy_of_the_test():
    spec = policies()["-test"]
    assert spec["podSelector"]["matchLabels"] == labels("order-food-test", "test")
    assert "ingress" not in spec
    assert spec["egress"] == [DNS, {"to": [pods("order-food", "api")], "ports": [{"port": "http", "protocol": "TCP"}]}]


def test_policy_of_the_server():
    spec = policies()["-postgresql"]
    assert spec["podSelector"]["matchLabels"] == labels("postgresql", "postgresql")
    assert spec["ingress"] == [{"from": [pods("order-food", "api"), pods("database-load", "load")], "ports": [{"port": "postgresql", "protocol": "TCP"}]}]
    assert "egress" not in spec


@pytest.mark.parametrize("name", ["", "-load"])
def test_policies_with_a_database_and_a_collector_elsewhere(name):
    external = {"postgresql__enabled": False, "database__existingSecret": "external", "networkPolicy__databasePort": 6432}
    assert policies(**external).keys() == {"", "-load", "-test"}
    port = [{"port": 6432, "protocol": "TCP"}]
    assert policies(**external)[name]["egress"] == [DNS, {"ports": port}]
    limited = policies(**external, networkPolicy__databaseCidrs=["10.0.0.0/8", "fd00::/8"])[name]["egress"]
    assert limited == [DNS, {"ports": port, "to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}, {"ipBlock": {"cidr": "fd00::/8"}}]}]
    traced = policies(telemetry__otlpEndpoint="http://x:4318")[name]["egress"]
    assert traced == [DNS, POSTGRESQL, {"to": [namespace("monitoring")], "ports": [{"port": 4318, "protocol": "TCP"}]}]
    elsewhere = policies(telemetry__otlpEndpoint="http://x:1", networkPolicy__otlpPort=1, networkPolicy__otlpNamespaceLabels={"a": "b"})[name]["egress"][-1]
    assert elsewhere["ports"] == [{"port": 1, "protocol": "TCP"}]
    assert elsewhere["to"][0]["namespaceSelector"]["matchLabels"]["a"] == "b"


def test_policies_follow_the_namespaces():
    spec = policies(networkPolicy__ingressNamespaces=["ingress-nginx", "gateways"], networkPolicy__prometheusNamespaceLabels={"c": "d"})[""]
    [ingress, prometheus, _] = spec["ingress"][0]["from"]
    assert ingress == namespaces("ingress-nginx", "gateways")
    assert prometheus["namespaceSelector"]["matchLabels"]["c"] == "d"


def test_policies_admit_balancers_outside_the_cluster():
    spec = policies(networkPolicy__ingressNamespaces=[], networkPolicy__ingressCidrs=["35.191.0.0/16", "fd00::/8"])[""]
    assert spec["ingress"][0]["from"] == [
        {"ipBlock": {"cidr": "35.191.0.0/16"}}, {"ipBlock": {"cidr": "fd00::/8"}}, namespace("monitoring"), pods("order-food-test", "test"),
    ]


def test_the_scenario_with_two_ways_in_admits_both():
    spec = render(profile="ingress").one("NetworkPolicy", "diner")["spec"]
    assert spec["ingress"][0]["from"][0] == namespaces("ingress-nginx", "gateways")
