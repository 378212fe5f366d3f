"""What holds of every object, in every scenario."""

import pytest
from api_stub import repeated

from chart import NAMESPACE, PROFILES, Manifests, containers, render
from kinds import faults
from security import violations


@pytest.fixture(params=PROFILES)
def manifests(request: pytest.FixtureRequest) -> Manifests:
    return render(profile=request.param)


def test_fits_the_schemas_of_kubernetes(manifests):
    assert [f"{o['kind']}: {fault}" for o in manifests for fault in faults(o, "1.30")] == []


def test_lists_name_nothing_twice(manifests):
    assert [fault for o in manifests for fault in repeated(o.get("spec", {}))] == []


def test_names_are_unique_and_namespaced(manifests):
    names = [(o["kind"], o["metadata"]["name"]) for o in manifests]
    assert len(names) == len(set(names))
    assert {o["metadata"]["namespace"] for o in manifests} == {NAMESPACE}


def test_pods_are_restricted(manifests):
    assert [f"{name}: {fault}" for name, pod in manifests.pods() for fault in violations(pod["spec"])] == []


def test_pods_have_no_token_and_no_service_variables(manifests):
    for _, pod in manifests.pods():
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["enableServiceLinks"] is False


def test_roots_are_read_only_and_memory_is_bounded(manifests):
    for _, pod in manifests.pods():
        for container in containers(pod["spec"]):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}


def test_every_mount_has_its_volume(manifests):
    for name, pod in manifests.pods():
        volumes = {volume["name"] for volume in pod["spec"].get("volumes", [])}
        volumes |= {claim["metadata"]["name"] for o in manifests.all("StatefulSet") if name.endswith(o["metadata"]["name"]) for claim in o["spec"].get("volumeClaimTemplates", [])}
        mounted = {mount["name"] for container in containers(pod["spec"]) for mount in container.get("volumeMounts", [])}
        assert mounted == volumes, name


def test_kinds_are_of_the_versions_meant(manifests):
    versions = {
        "CronJob": "batch/v1", "Deployment": "apps/v1", "HTTPRoute": "gateway.networking.k8s.io/v1", "HorizontalPodAutoscaler": "autoscaling/v2",
        "Ingress": "networking.k8s.io/v1", "Job": "batch/v1", "NetworkPolicy": "networking.k8s.io/v1", "PodDisruptionBudget": "policy/v1",
        "PrometheusRule": "monitoring.coreos.com/v1", "ServiceMonitor": "monitoring.coreos.com/v1", "StatefulSet": "apps/v1",
    }
    assert [o["kind"] for o in manifests if o.get("apiVersion") != versions.get(o["kind"], "v1")] == []


def test_objects_of_the_api_have_its_name(manifests):
    name = manifests.one("Deployment")["metadata"]["name"]
    for kind in ("HTTPRoute", "HorizontalPodAutoscaler", "Ingress", "PodDisruptionBudget", "PrometheusRule", "Secret", "ServiceAccount", "ServiceMonitor"):
        assert {o["metadata"]["name"] for o in manifests.all(kind)} <= {name}


def test_own_objects_are_labelled(manifests):
    for resource in manifests:
        labels = resource["metadata"].get("labels", {})
        if resource["metadata"]["name"].endswith("-dashboard"):
            continue  # an extra object: the user's own
        assert labels["app.kubernetes.io/instance"] == "order-food"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["app.kubernetes.io/part-of"] == "order-food"
        assert labels["app.kubernetes.io/version"] == "0.1.0"
        assert labels["helm.sh/chart"] == "order-food-0.1.0"
        expected = {
            "CronJob": ("database-load", "load"), "StatefulSet": ("postgresql", "postgresql"), "Deployment": ("order-food", "api"),
            "HorizontalPodAutoscaler": ("order-food", "api"), "PodDisruptionBudget": ("order-food", "api"), "Ingress": ("order-food", "api"),
            "HTTPRoute": ("order-food", "api"), "Secret": ("order-food", "api"), "ServiceAccount": ("order-food", "api"), "ServiceMonitor": ("order-food", "api"), "PrometheusRule": ("order-food", "api"),
        }.get(resource["kind"])
        name = resource["metadata"]["name"]
        if resource["kind"] in ("Job", "NetworkPolicy", "Pod", "Service", "ConfigMap"):
            suffixes = {"-test": ("order-food-test", "test"), "-load": ("database-load", "load"), "-data": ("database-load", "load"), "-postgresql": ("postgresql", "postgresql")}
            suffixes |= {name: ("database-load", "load")} if name.startswith("database-load-") else {}
            expected = next((who for suffix, who in suffixes.items() if name.endswith(suffix)), ("order-food", "api"))
        assert (labels["app.kubernetes.io/name"], labels["app.kubernetes.io/component"]) == expected, name


def test_pods_are_labelled_like_what_makes_them(manifests):
    for resource in manifests:
        spec = resource.get("spec", {})
        template = spec.get("template")
        if resource["kind"] == "CronJob":
            job = spec["jobTemplate"]
            assert job["metadata"]["labels"] == resource["metadata"]["labels"]
            template = job["spec"]["template"]
        # A label that changes would restart PostgreSQL.
        if template and resource["kind"] != "StatefulSet":
            assert template["metadata"]["labels"].items() >= resource["metadata"]["labels"].items()


def test_selectors_find_their_pods_and_no_others(manifests):
    pods = {name: pod["metadata"]["labels"] for name, pod in manifests.pods()}

    def selected(labels):
        return {name for name, own in pods.items() if labels.items() <= own.items()}

    api = {f"Deployment/{manifests.one('Deployment')['metadata']['name']}"}
    assert selected(manifests.deployment["selector"]["matchLabels"]) == api
    for service in manifests.all("Service"):
        own = {name for name in pods if name.startswith("StatefulSet")} if service["metadata"]["name"].endswith("-postgresql") else api
        assert selected(service["spec"]["selector"]) == own
    for kind in ("PodDisruptionBudget",):
        for resource in manifests.all(kind):
            assert selected(resource["spec"]["selector"]["matchLabels"]) == api
    for constraint in manifests.api_pod["topologySpreadConstraints"]:
        assert selected(constraint["labelSelector"]["matchLabels"]) == api
    for resource in manifests.all("StatefulSet"):
        assert selected(resource["spec"]["selector"]["matchLabels"]) == {f"StatefulSet/{resource['metadata']['name']}"}


def test_selectors_have_only_labels_that_never_change(manifests):
    stable = {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"}
    for kind in ("Deployment", "StatefulSet"):
        for resource in manifests.all(kind):
            assert resource["spec"]["selector"]["matchLabels"].keys() == stable
            for claim in resource["spec"].get("volumeClaimTemplates", []):
                assert claim["metadata"]["labels"] == resource["spec"]["selector"]["matchLabels"]


def test_references_lead_somewhere(manifests):
    made = {(o["kind"], o["metadata"]["name"]) for o in manifests}
    external = {("Secret", n) for n in ("order-food", "order-food-pepper")} if not manifests.has("StatefulSet") else set()
    external |= {("ConfigMap", "database-ca"), ("ServiceAccount", "default")}
    for name, pod in manifests.pods():
        spec = pod["spec"]
        used = {("ServiceAccount", spec["serviceAccountName"])}
        used |= {("Secret", v["secret"]["secretName"]) for v in spec.get("volumes", []) if "secret" in v}
        used |= {("ConfigMap", v["configMap"]["name"]) for v in spec.get("volumes", []) if "configMap" in v}
        used |= {("ConfigMap", source["configMapRef"]["name"]) for c in containers(spec) for source in c.get("envFrom", [])}
        assert used <= made | external, name
    for resource in manifests.all("HorizontalPodAutoscaler"):
        target = resource["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) in made
        assert target["apiVersion"] == manifests.one("Deployment")["apiVersion"]
    service = manifests.one("Deployment")["metadata"]["name"]
    assert ("Service", service) in made
    assert not any(kind == "Secret" and manifests.one(kind)["data"].keys() - {"DATABASE_URL", "POSTGRES_PASSWORD", "API_KEY_PEPPER"} for kind, _ in made)


def test_ports_by_name_exist(manifests):
    assert [(p["name"], p["containerPort"], p["protocol"]) for p in manifests.api["ports"]] == [("http", 8080, "TCP")]
    for service in manifests.all("Service"):
        target = "postgresql" if service["metadata"]["name"].endswith("-postgresql") else "http"
        assert [(p["name"], p["targetPort"], p["protocol"]) for p in service["spec"]["ports"]] == [(target, target, "TCP")]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert manifests.api[probe]["httpGet"]["port"] == "http"


def test_secrets_are_not_in_the_environment(manifests):
    for _, pod in manifests.pods():
        for container in containers(pod["spec"]):
            assert not any("secretKeyRef" in (e.get("valueFrom") or {}) for e in container.get("env", []))
            assert not any("secretRef" in source for source in container.get("envFrom", []))
