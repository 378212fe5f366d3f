"""The API's Deployment: configuration, probes, stopping, where its pods go."""

import pytest

from chart import EXTERNAL, containers, environment, named, render

SETTINGS = {
    "SERVER_ADDRESS": "0.0.0.0", "SERVER_PORT": "8080", "DATABASE_MAX_CONNECTIONS": "5", "WAIT_SECONDS": "300",
    "LOCK_WAIT_SECONDS": "120", "LOAD_DEMO_DATA": "true", "CORS_ALLOWED_ORIGINS": "*", "RATE_LIMIT_PER_SECOND": "0",
    "TRUSTED_PROXIES": "", "SHUTDOWN_DELAY_SECONDS": "5", "SHUTDOWN_TIMEOUT_SECONDS": "20", "ENABLE_FAULT_INJECTION": "false",
    "LOG_FORMAT": "json", "RUST_LOG": "info,actix_server=warn,actix_http=off", "ENABLE_METRICS": "true", "SERVICE_VERSION": "0.1.0",
}


def test_settings():
    manifests = render()
    assert manifests.settings == SETTINGS
    for container in [*containers(manifests.api_pod), manifests.load]:
        assert container["envFrom"] == [{"configMapRef": {"name": "order-food"}}]


@pytest.mark.parametrize(("assignment", "variable", "value"), [
    ({"listenAddress": "::"}, "SERVER_ADDRESS", "::"),
    ({"database__poolSize": 7}, "DATABASE_MAX_CONNECTIONS", "7"),
    ({"database__waitSeconds": 10}, "WAIT_SECONDS", "10"),
    ({"database__lockWaitSeconds": 11}, "LOCK_WAIT_SECONDS", "11"),
    ({"corsAllowedOrigins": "https://a.example"}, "CORS_ALLOWED_ORIGINS", "https://a.example"),
    ({"rateLimit__perSecond": 1000000}, "RATE_LIMIT_PER_SECOND", "1000000"),
    ({"rateLimit__trustedProxies": ["10.0.0.0/8", "fd00::/8"]}, "TRUSTED_PROXIES", "10.0.0.0/8,fd00::/8"),
    ({"shutdown__delaySeconds": 3}, "SHUTDOWN_DELAY_SECONDS", "3"),
    ({"shutdown__timeoutSeconds": 4}, "SHUTDOWN_TIMEOUT_SECONDS", "4"),
    ({"faultInjection": True}, "ENABLE_FAULT_INJECTION", "true"),
    ({"log__format": "pretty"}, "LOG_FORMAT", "pretty"),
    ({"log__filter": "debug"}, "RUST_LOG", "debug"),
    ({"metrics__enabled": False}, "ENABLE_METRICS", "false"),
    ({"image__tag": "2"}, "SERVICE_VERSION", "2"),
    ({"telemetry__environment": "production"}, "ENVIRONMENT", "production"),
])
def test_a_value_is_a_setting_and_restarts_the_pods(assignment, variable, value):
    manifests = render(**assignment)
    assert manifests.settings == {**SETTINGS, variable: value}
    before, after = (m.deployment["template"]["metadata"]["annotations"] for m in (render(), manifests))
    assert before["checksum/config"] != after["checksum/config"]


def test_demo_data_belongs_to_the_demo_database():
    assert render(EXTERNAL).settings == {**SETTINGS, "LOAD_DEMO_DATA": "false"}


def test_no_traces_without_an_endpoint():
    manifests = render()
    assert not any(name.startswith("OTEL_") for name in manifests.settings)
    assert environment(manifests.api).keys() == {"DATABASE_URL_FILE", "API_KEY_PEPPER_FILE"}


def test_a_ratio_given_on_the_command_line_is_text():
    assert render(telemetry__otlpEndpoint="http://jaeger:4318", telemetry__samplerRatio="0.5").settings["OTEL_TRACES_SAMPLER_ARG"] == "0.5"


def test_traces():
    manifests = render(telemetry__otlpEndpoint="http://jaeger:4318", telemetry__samplerRatio=0.25)
    assert manifests.settings == {
        **SETTINGS, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4318", "OTEL_EXPORTER_OTLP_TIMEOUT": "3000",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25",
    }
    for container in [*containers(manifests.api_pod), manifests.load]:
        variables = environment(container)
        assert variables["OTEL_RESOURCE_ATTRIBUTES"] == (
            "k8s.namespace.name=shop,k8s.node.name=$(NODE_NAME),k8s.pod.name=$(POD_NAME),k8s.pod.uid=$(POD_UID),"
            f"k8s.container.name={container['name']}"
        )
        fields = {name: variables[name] for name in ("POD_NAME", "POD_UID", "NODE_NAME")}
        assert fields == {
            "POD_NAME": {"fieldRef": {"fieldPath": "metadata.name"}}, "POD_UID": {"fieldRef": {"fieldPath": "metadata.uid"}},
            "NODE_NAME": {"fieldRef": {"fieldPath": "spec.nodeName"}},
        }
        # A reference works only to what stands before it.
        assert list(variables)[-1] == "OTEL_RESOURCE_ATTRIBUTES"


def test_the_rollout_takes_no_pod_away_before_another_is_ready():
    deployment = render(replicaCount=3).deployment
    assert deployment["replicas"] == 3
    assert deployment["revisionHistoryLimit"] == 5
    assert deployment["progressDeadlineSeconds"] == 900
    assert deployment["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert "minReadySeconds" not in deployment
    assert render(updateStrategy__minReadySeconds=20).deployment["minReadySeconds"] == 20
    changed = render(updateStrategy__maxSurge=2, updateStrategy__maxUnavailable=1, updateStrategy__progressDeadlineSeconds=7, revisionHistoryLimit=0).deployment
    assert changed["strategy"]["rollingUpdate"] == {"maxSurge": 2, "maxUnavailable": 1}
    assert changed["progressDeadlineSeconds"] == 7
    assert changed["revisionHistoryLimit"] == 0
    assert render().deployment["replicas"] == 2


def test_probes():
    api = render().api
    assert api["startupProbe"] == {"httpGet": {"path": "/livez", "port": "http"}, "periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 60}
    assert api["readinessProbe"] == {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 2}
    assert api["livenessProbe"] == {"httpGet": {"path": "/livez", "port": "http"}, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3}
    changed = render({name: {"periodSeconds": 9} for name in ("startupProbe", "readinessProbe", "livenessProbe")}).api
    assert {changed[name]["periodSeconds"] for name in ("startupProbe", "readinessProbe", "livenessProbe")} == {9}


def test_stopping():
    manifests = render()
    assert manifests.api["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert manifests.api_pod["terminationGracePeriodSeconds"] == 45
    changed = render(shutdown__preStopSleepSeconds=0, shutdown__gracePeriodSeconds=90)
    # Sleeping for no time is refused before 1.34.
    assert "lifecycle" not in changed.api
    assert changed.api_pod["terminationGracePeriodSeconds"] == 90


def test_resources():
    usual = {"requests": {"cpu": "200m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}}
    manifests = render()
    assert all(container["resources"] == usual for container in [*containers(manifests.api_pod), manifests.load])
    own = {"limits": {"memory": "1Gi"}}
    assert render(resources=own).api["resources"]["limits"] == own["limits"]
    migration, load = render(
        initContainers__databaseMigration__resources={"limits": {"memory": "2Gi"}}, initContainers__databaseLoad__resources={"limits": {"memory": "3Gi"}}
    ).api_pod["initContainers"]
    assert migration["resources"]["limits"]["memory"] == "2Gi"
    assert load["resources"]["limits"]["memory"] == "3Gi"
    assert render(cronjob__resources=own).load["resources"]["limits"]["memory"] == "1Gi"


def test_only_tmp_can_be_written():
    manifests = render()
    assert named(manifests.api_pod["volumes"], "tmp") == {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}
    for container in [*containers(manifests.api_pod), manifests.load]:
        mounts = {mount["name"]: (mount["mountPath"], mount.get("readOnly", False)) for mount in container["volumeMounts"]}
        assert mounts.pop("tmp") == ("/tmp", False)
        assert all(read_only for _, read_only in mounts.values())


def test_security_contexts():
    for _, pod in render(EXTERNAL).pods():
        assert pod["spec"]["securityContext"] == {
            "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
            "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
        }
        for container in containers(pod["spec"]):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            }
    changed = render(EXTERNAL, podSecurityContext__runAsUser=None, containerSecurityContext__readOnlyRootFilesystem=False, job__enabled=True)
    for _, pod in changed.pods():
        assert "runAsUser" not in pod["spec"]["securityContext"]
        assert not any(c["securityContext"]["readOnlyRootFilesystem"] for c in containers(pod["spec"]))


def test_service_account():
    made = render()
    assert made.one("ServiceAccount")["automountServiceAccountToken"] is False
    assert {pod["spec"]["serviceAccountName"] for _, pod in made.pods()} == {"order-food"}
    assert {pod["spec"]["serviceAccountName"] for _, pod in render(serviceAccount__name="mine").pods()} == {"mine"}
    assert render(serviceAccount__name="mine").one("ServiceAccount")["metadata"]["name"] == "mine"
    used = render(serviceAccount__create=False, serviceAccount__name="mine")
    assert not used.has("ServiceAccount")
    assert {pod["spec"]["serviceAccountName"] for _, pod in used.pods()} == {"mine"}
    assert {pod["spec"]["serviceAccountName"] for _, pod in render(serviceAccount__create=False).pods()} == {"default"}


SELECTOR = {"app.kubernetes.io/name": "order-food", "app.kubernetes.io/instance": "order-food", "app.kubernetes.io/component": "api"}


def test_pods_are_spread():
    constraints = render().api_pod["topologySpreadConstraints"]
    common = {"maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": SELECTOR}, "matchLabelKeys": ["pod-template-hash"]}
    assert constraints == [{**common, "topologyKey": "topology.kubernetes.io/zone"}, {**common, "topologyKey": "kubernetes.io/hostname"}]
    assert "topologySpreadConstraints" not in render(topologySpreadConstraints=[]).api_pod


def test_pods_avoid_each_other():
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": SELECTOR}, "matchLabelKeys": ["pod-template-hash"]}
    soft = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]}
    assert render().api_pod["affinity"] == {"podAntiAffinity": soft}
    hard = render(podAntiAffinityPreset="hard").api_pod["affinity"]
    assert hard == {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    assert "affinity" not in render(podAntiAffinityPreset="").api_pod


def test_pods_look_for_nodes():
    expression = {"key": "zone", "operator": "In", "values": ["a", "b"]}
    preset = {"key": "zone", "values": ["a", "b"]}
    hard = render(nodeAffinityPreset={**preset, "type": "hard"}, podAntiAffinityPreset="").api_pod["affinity"]
    assert hard == {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}}
    soft = render(nodeAffinityPreset={**preset, "type": "soft"}).api_pod["affinity"]
    assert soft.keys() == {"nodeAffinity", "podAntiAffinity"}
    assert soft["nodeAffinity"] == {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 50, "preference": {"matchExpressions": [expression]}}]}


def test_pools_of_nodes():
    toleration = [{"key": "pool", "operator": "Exists", "effect": "NoSchedule"}]
    manifests = render(nodeSelector={"pool": "stateless"}, tolerations=toleration, postgresql__nodeSelector={"pool": "stateful"}, job__enabled=True)
    for name, pod in manifests.pods():
        database = name.startswith("StatefulSet")
        assert pod["spec"]["nodeSelector"] == {"pool": "stateful" if database else "stateless"}
        assert pod["spec"].get("tolerations") == (None if database else toleration)
    assert render(postgresql__tolerations=toleration).postgresql_pod["tolerations"] == toleration
    assert not any({"nodeSelector", "tolerations"} & pod["spec"].keys() for _, pod in render().pods())


def test_priority():
    assert render(priorityClassName="shop").api_pod["priorityClassName"] == "shop"
    assert "priorityClassName" not in render().api_pod


def test_more_variables_and_volumes_are_for_all_three_programs():
    manifests = render(
        extraEnvVars=[{"name": "RUST_BACKTRACE", "value": "1"}], extraVolumes=[{"name": "ca", "secret": {"secretName": "ca"}}],
        extraVolumeMounts=[{"name": "ca", "mountPath": "/etc/ca"}],
    )
    for pod in (manifests.api_pod, manifests.load_pod):
        assert pod["volumes"][-1] == {"name": "ca", "secret": {"secretName": "ca"}}
        for container in containers(pod):
            assert container["env"][-1] == {"name": "RUST_BACKTRACE", "value": "1"}
            assert container["volumeMounts"][-1] == {"name": "ca", "mountPath": "/etc/ca"}


def test_autoscaling():
    manifests = render(autoscaling__enabled=True, database__maxConnections=200)
    # Two would fight over the number.
    assert "replicas" not in manifests.deployment
    spec = manifests.one("HorizontalPodAutoscaler")["spec"]
    assert spec == {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "order-food"},
        "minReplicas": 2, "maxReplicas": 10,
        "metrics": [{"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "order-food", "target": {"type": "Utilization", "averageUtilization": 70}}}],
        "behavior": {
            "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [
                {"type": "Percent", "value": 100, "periodSeconds": 15}, {"type": "Pods", "value": 4, "periodSeconds": 15}]},
            "scaleDown": {"stabilizationWindowSeconds": 300, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]},
        },
    }
    assert not render().has("HorizontalPodAutoscaler")


def test_autoscaling_by_requests():
    spec = render(
        autoscaling={"enabled": True, "minReplicas": 3, "maxReplicas": 4, "targetCPUUtilizationPercentage": 0,
                     "targetRequestsPerSecond": 1000000, "scaleDownStabilizationSeconds": 60}
    ).one("HorizontalPodAutoscaler")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 4)
    assert spec["metrics"] == [{"type": "Pods", "pods": {"metric": {"name": "http_server_requests_per_second"}, "target": {"type": "AverageValue", "averageValue": "1000000"}}}]
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 60


def test_disruption_budget():
    spec = render().one("PodDisruptionBudget")["spec"]
    assert spec == {"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow", "selector": {"matchLabels": SELECTOR}}
    assert render(pdb__maxUnavailable=2).one("PodDisruptionBudget")["spec"]["maxUnavailable"] == 2
    assert not render(pdb__enabled=False).has("PodDisruptionBudget")


@pytest.mark.parametrize(("values", "has"), [
    ({"replicaCount": 1}, False), ({"replicaCount": 2}, True),
    ({"replicaCount": 1, "autoscaling__enabled": True}, True),
    ({"replicaCount": 5, "autoscaling__enabled": True, "autoscaling__minReplicas": 1}, False),
])
def test_a_single_pod_can_be_drained(values, has):
    assert render(**values).has("PodDisruptionBudget") is has
