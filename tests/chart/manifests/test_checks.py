"""What is refused before it gets to the cluster, with messages that say what to set; and what people are told."""

import pytest

from chart import EXTERNAL, refusal, render


@pytest.mark.parametrize(("values", "parts"), [
    ({"postgresql": {"enabled": False}}, ["no database", "database.existingSecret", "DATABASE_URL and API_KEY_PEPPER", "postgresql.enabled=true"]),
    ({"database": {"existingSecret": "mine"}}, ["database.existingSecret is mine", "postgresql.enabled=false"]),
    ({"replicaCount": 11}, ["13 pods (11, 1 more in a rollout, 1 ending)", "93 connections (13 * 7 + 2)", "90 are allowed (database.maxConnections 100 - database.reservedConnections 10)",
                            "database.poolSize", "raise database.maxConnections"]),
    ({"autoscaling": {"enabled": True, "maxReplicas": 11}}, ["13 pods", "93 connections", "90 are allowed"]),
    ({"replicaCount": 9, "updateStrategy": {"maxSurge": 2}}, ["13 pods (9, 2 more in a rollout, 2 ending)", "93 connections"]),
    ({"replicaCount": 9, "updateStrategy": {"maxUnavailable": 2}}, ["13 pods (9, 1 more in a rollout, 3 ending)", "93 connections"]),
    ({"database": {"poolSize": 21}}, ["4 pods", "94 connections", "90 are allowed"]),
    ({"database": {"maxConnections": 39}}, ["4 pods", "30 connections", "29 are allowed"]),
    ({"database": {"reservedConnections": 71}}, ["30 connections", "29 are allowed"]),
    ({"database": {"reservedConnections": 200}}, ["30 connections", "-100 are allowed"]),
    # Without a rollout's pods, and more of those than there are replicas.
    ({"replicaCount": 1, "updateStrategy": {"maxSurge": 50}, "database": {"poolSize": 43}}, ["2 pods (1, 1 more in a rollout, 0 ending)", "92 connections (2 * 45 + 2)"]),
    # Loads count, too.
    ({"replicaCount": 10, "job": {"enabled": True}, "database": {"maxConnections": 97}}, ["88 connections (12 * 7 + 4)", "87 are allowed"]),
    ({"replicaCount": 10, "cronjob": {"concurrencyPolicy": "Replace"}, "database": {"maxConnections": 96}}, ["87 connections (12 * 7 + 3)", "86 are allowed"]),
    ({"replicaCount": 10, "cronjob": {"enabled": False}, "database": {"maxConnections": 93}}, ["84 connections (12 * 7 + 0)", "83 are allowed"]),
    ({"updateStrategy": {"minReadySeconds": 900}}, ["waits 900 s", "progressDeadlineSeconds is 900"]),
    ({"replicaCount": 10, "updateStrategy": {"progressDeadlineSeconds": 45}}, ["waits 45 s", "progressDeadlineSeconds is 45", "database.maxConnections"]),
    ({"autoscaling": {"enabled": True, "minReplicas": 4, "maxReplicas": 3}}, ["autoscaling.maxReplicas is 3", "below autoscaling.minReplicas", "at least 4"]),
    ({"autoscaling": {"enabled": True, "targetCPUUtilizationPercentage": 0}}, ["nothing to aim at", "autoscaling.targetCPUUtilizationPercentage", "autoscaling.targetRequestsPerSecond"]),
    ({"shutdown": {"gracePeriodSeconds": 34}}, ["35 s to stop", "shutdown.gracePeriodSeconds is 34"]),
    ({"shutdown": {"preStopSleepSeconds": 16}}, ["46 s to stop"]),
    ({"shutdown": {"delaySeconds": 17}}, ["47 s to stop"]),
    ({"shutdown": {"timeoutSeconds": 33}}, ["48 s to stop"]),
    ({"data": {"files": {"users.csv": "x"}, "existingClaim": "y"}}, ["one place", "data.files", "data.existingConfigMap", "data.existingClaim"]),
    ({"data": {"files": {"users.csv": "x"}, "existingConfigMap": "y"}}, ["one place"]),
    ({"data": {"existingConfigMap": "x", "existingClaim": "y"}}, ["one place"]),
    *[({"extraEnvVars": [{"name": name, "value": "x"}]}, [f"extraEnvVars sets {name}", "already"])
      for name in ("DATABASE_URL_FILE", "API_KEY_PEPPER_FILE", "DATA_DIR", "SPILL_SIZE_LIMIT", "POD_NAME", "POD_UID", "NODE_NAME", "OTEL_RESOURCE_ATTRIBUTES")],
    ({"extraEnvVars": [{"name": "DATABASE_URL", "value": "x"}]}, ["extraEnvVars sets DATABASE_URL", "database.existingSecret"]),
    ({"extraEnvVars": [{"name": "API_KEY_PEPPER", "value": "x"}]}, ["extraEnvVars sets API_KEY_PEPPER", "apiKeyPepper.existingSecret"]),
    ({"extraEnvVars": [{"name": "A", "value": "x"}, {"name": "A", "value": "y"}]}, ["extraEnvVars sets A"]),
    *[({"extraVolumes": [{"name": name, "emptyDir": {}}]}, [f"extraVolumes has {name}", "another name"]) for name in ("tmp", "database", "pepper", "data")],
    ({"extraVolumes": [{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}]}, ["extraVolumes has a"]),
    ({"extraVolumeMounts": [{"name": "a", "mountPath": "/a"}]}, ["extraVolumeMounts mounts a", "Add it to extraVolumes"]),
    *[({"extraVolumeMounts": [{"name": "tmp", "mountPath": path}]}, [f"extraVolumeMounts uses {path}", "another path"])
      for path in ("/tmp", "/data", "/secrets/database", "/secrets/pepper")],
    ({"extraVolumes": [{"name": "a", "emptyDir": {}}], "extraVolumeMounts": [{"name": "a", "mountPath": "/a"}, {"name": "a", "mountPath": "/a"}]}, ["extraVolumeMounts uses /a"]),
    ({"topologySpreadConstraints": [{"maxSkew": skew, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"} for skew in (1, 2)]},
     ["topologySpreadConstraints has zone, DoNotSchedule twice"]),
    ({"httpRoute": {"enabled": True}}, ["httpRoute.parentRefs"]),
    ({"nodeAffinityPreset": {"type": "soft", "key": "a"}}, ["nodeAffinityPreset.key and nodeAffinityPreset.values"]),
    ({"nodeAffinityPreset": {"type": "soft", "values": ["a"]}}, ["nodeAffinityPreset.key and nodeAffinityPreset.values"]),
    ({"metrics": {"enabled": False, "serviceMonitor": {"enabled": True}}}, ["metrics.enabled=true"]),
    ({"metrics": {"prometheusRule": {"enabled": True}}}, ["ApiDown would page for ever", "metrics.serviceMonitor.enabled=true"]),
    ({"metrics": {"enabled": False, "prometheusRule": {"enabled": True}}}, ["alerts", "metrics.enabled=true"]),
])
def test_refused_with_what_to_do(values, parts):
    message = refusal(values)
    assert "order-food: " in message
    assert [part for part in parts if part not in message] == [], message


@pytest.mark.parametrize("values", [
    {"replicaCount": 10}, {"autoscaling": {"enabled": True, "maxReplicas": 10}}, {"autoscaling": {"enabled": True}}, {"replicaCount": 8, "updateStrategy": {"maxSurge": 2}},
    {"replicaCount": 8, "updateStrategy": {"maxUnavailable": 2}}, {"replicaCount": 0, "database": {"maxConnections": 12}},
    {"database": {"poolSize": 20}}, {"database": {"maxConnections": 40}}, {"database": {"reservedConnections": 70}},
    {"replicaCount": 1, "updateStrategy": {"maxSurge": 50}, "database": {"poolSize": 42}},
    {"replicaCount": 10, "job": {"enabled": True}, "database": {"maxConnections": 98}},
    {"replicaCount": 10, "cronjob": {"concurrencyPolicy": "Replace"}, "database": {"maxConnections": 97}},
    {"replicaCount": 10, "cronjob": {"enabled": False}, "database": {"maxConnections": 94}},
    {"updateStrategy": {"minReadySeconds": 899}}, {"replicaCount": 10, "updateStrategy": {"progressDeadlineSeconds": 46}},
    {"autoscaling": {"enabled": True, "minReplicas": 4, "maxReplicas": 4}},
    # Without autoscaling its numbers do not count.
    {"autoscaling": {"maxReplicas": 100}}, {"autoscaling": {"minReplicas": 11}},
    {"shutdown": {"gracePeriodSeconds": 35}},
    {"extraVolumeMounts": [{"name": "tmp", "mountPath": "/var/tmp"}]},
    {"metrics": {"enabled": False}},
    {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": when} for when in ("DoNotSchedule", "ScheduleAnyway")]},
])
def test_just_allowed(values):
    assert render(values).has("Deployment")


# As many as begin until the first is stopped: 900 s later, and 30 s for its end.
@pytest.mark.parametrize(("schedule", "seconds", "loads"), [
    ("0 */6 * * *", 900, 2), ("@hourly", 900, 2), ("30 5 * * *", 4000, 3), ("*/30 * * * *", 900, 2), ("*/30 * * * *", 1800, 3), ("*/5 * * * *", 900, 5),
    ("*/7 * * * *", 900, 17), ("0,1,2 * * * *", 900, 17), ("* * * * *", 900, 17), ("*/0 * * * *", 60, 3), ("* * * * *", 10, 2),
])
def test_loads_at_a_time(schedule, seconds, loads):
    cronjob = {"concurrencyPolicy": "Allow", "schedule": schedule, "activeDeadlineSeconds": seconds}
    assert f"(4 * 7 + {loads})" in refusal({"cronjob": cronjob, "database": {"maxConnections": 20}})
    assert "(4 * 7 + 2)" in refusal({"cronjob": {**cronjob, "concurrencyPolicy": "Forbid"}, "database": {"maxConnections": 20}})


@pytest.mark.parametrize("values", [
    {"replicas": 2}, {"image": {"name": "x"}}, {"replicaCount": "two"}, {"image": {"pullPolicy": "Sometimes"}}, {"cronjob": {"schedule": "often"}},
    {"image": {"tag": "a b"}}, {"postgresql": {"auth": {"password": "p@ss"}}}, {"resources": {"limits": {"memory": "lots"}}}, {"service": {"port": 0}},
])
def test_values_that_mean_nothing_are_refused(values):
    assert "order-food:" in refusal(values)


# What the programs refuse.
@pytest.mark.parametrize("endpoint", [
    "jaeger:4318", "ftp://jaeger", "http://", "http:///v1", "http://:4318", "http://jaeger:", "http://jaeger:port", "http://jaeger:0", "http://jaeger:65536", "http://jaeger:99999",
    "http://jaeger:4318:4318", "http://[::1", "http://[::1]:99999", "http://me:secret@jaeger:4318", "http://jaeger?a=b", "http://jag er",
])
def test_a_collector_that_cannot_be_is_refused(endpoint):
    assert "otlpEndpoint" in refusal(telemetry__otlpEndpoint=endpoint)


@pytest.mark.parametrize("endpoint", [
    "", "http://jaeger", "https://jaeger.monitoring.svc.cluster.local:4318", "http://10.0.0.1:1/", "http://[fd00::1]:65535/otlp", "http://jaeger:59999", "http://jaeger:64999", "http://jaeger:65499", "http://jaeger:65529",
])
def test_a_collector_that_can_be_is_allowed(endpoint):
    assert render(telemetry__otlpEndpoint=endpoint).settings.get("OTEL_EXPORTER_OTLP_ENDPOINT", "") == endpoint


@pytest.mark.parametrize("text", ["", "order_food=loud", "=info", "a=b=c", "a=9", "info,,=warn", "a[b", "{", "*", '"', "a=info/x", "info,"])
def test_a_log_filter_that_cannot_be_is_refused(text):
    assert "filter" in refusal(log__filter=text)


@pytest.mark.parametrize("text", ["info", "WARN", "off", "info,actix_server=warn,actix_http=off", "order_food::handler=trace,sqlx-core=0,error"])
def test_a_log_filter_that_can_be_is_allowed(text):
    assert render(log__filter=text).settings["RUST_LOG"] == text


def test_notes_say_how_to_reach_it():
    notes = render().notes
    for line in (
        "kubectl --namespace shop rollout status deployment/order-food", "helm --namespace shop test order-food",
        "kubectl --namespace shop port-forward service/order-food 8080:80", "curl http://localhost:8080/api/product",
        "kubectl --namespace shop create job --from=cronjob/database-load manual-load-1", 'at "0 */6 * * *" (Etc/UTC)',
        "kubectl --namespace shop logs --selector app.kubernetes.io/name=database-load --tail=100",
        '-H "api_key: apitest"', "order-food 0.1.0 is in namespace shop, as release order-food",
    ):
        assert line in notes
    assert "create job" not in render(cronjob__enabled=False).notes
    published = render(ingress={"enabled": True, "hosts": ["a.example"]}, httpRoute={"enabled": True, "parentRefs": [{"name": "g"}], "hostnames": ["b.example"]}).notes
    assert "  http://a.example/api/product\n" in published
    assert "  http://b.example/api/product" in published
    assert "https://a.example/api/product" in render(ingress={"enabled": True, "hosts": ["a.example"], "tlsSecret": "t"}).notes
    assert "http://HOST/api/product" in render(ingress__enabled=True).notes
    assert "keys create --client NAME" in render(EXTERNAL).notes


PUBLIC_KEY = '-H "api_key: apitest"'
OWN_KEY = "exec deployment/order-food --container order-food -- /order-food keys create --client NAME"


@pytest.mark.parametrize(("values", "has_public_key", "is_warned"), [
    ({}, True, True),
    ({"initContainers": {"databaseLoad": {"enabled": False}}}, False, True),
    ({"data": {"files": {"products.csv": "x"}}}, False, False),
    ({"data": {"existingConfigMap": "mine"}}, False, False),
    ({"data": {"existingClaim": "mine"}}, False, False),
    (EXTERNAL, False, False),
])
def test_notes_promise_the_public_key_only_where_it_is(values, has_public_key, is_warned):
    notes = render(values).notes
    assert (PUBLIC_KEY in notes) is has_public_key
    assert (OWN_KEY in notes) is not has_public_key
    assert ('the API key "apitest" is public' in notes) is is_warned


def test_notes_help_where_there_is_no_storage_class():
    notes = render().notes
    for line in ("stays Pending", "kubectl --namespace shop delete statefulset/order-food-postgresql pvc/data-order-food-postgresql-0", "postgresql.persistence.storageClass", "postgresql.persistence.enabled=false"):
        assert line in notes
    assert "no default storage class." in notes
    assert 'no storage class "fast".' in render(postgresql__persistence__storageClass="fast").notes
    assert "stays Pending" not in render(postgresql__persistence__enabled=False).notes
    assert "stays Pending" not in render(EXTERNAL).notes


def test_notes_help_where_there_are_no_images():
    assert "ErrImagePull" in render().notes
    assert "image.registry" in render().notes
    assert "ErrImagePull" not in render(image__registry="registry.example").notes


@pytest.mark.parametrize(("values", "warning"), [
    ({}, "its password and the pepper stand in"),
    ({}, "delete pvc data-order-food-postgresql-0"),
    ({}, "/metrics and PostgreSQL. See networkPolicy.enabled"),
    ({"postgresql": {"persistence": {"enabled": False}}}, "every order is lost"),
    ({"replicaCount": 1}, "with one API pod"),
    ({"ingress": {"enabled": True}, "rateLimit": {"perSecond": 5}}, "no proxy is trusted"),
    ({"httpRoute": {"enabled": True, "parentRefs": [{"name": "g"}]}, "rateLimit": {"perSecond": 5}}, "no proxy is trusted"),
    ({"ingress": {"enabled": True}}, 'clients then send "X-API-Key"'),
    ({"faultInjection": True}, "faultInjection is on"),
    ({"initContainers": {"databaseMigration": {"enabled": False}}}, "databaseMigration is off"),
    ({"replicaCount": 8}, "A rollout waits 15 s for each new pod, so that those that end have closed their connections: the database allows\n90. For faster rollouts raise database.maxConnections"),
    ({"replicaCount": 8, "updateStrategy": {"minReadySeconds": 14}}, "A rollout waits 15 s"),
])
def test_notes_warn(values, warning):
    assert warning in render(values).notes


@pytest.mark.parametrize("warning", [
    "its password and the pepper", "delete pvc", "is lost", "one API pod", "no proxy is trusted", "X-API-Key", "faultInjection", "databaseMigration is off", "NetworkPolicy", "apitest",
])
def test_notes_warn_of_nothing_else(warning):
    values = {"networkPolicy": {"enabled": True}, "replicaCount": 2, "rateLimit": {"perSecond": 5}}
    assert warning not in render(EXTERNAL, **{"networkPolicy__enabled": True, "rateLimit__perSecond": 5}).notes
    trusted = {**values, "ingress": {"enabled": True}, "rateLimit": {"perSecond": 5, "trustedProxies": ["10.0.0.0/8"]}}
    assert "no proxy is trusted" not in render(trusted).notes
    assert "one API pod" not in render({"replicaCount": 1, "autoscaling": {"enabled": True}}).notes
    for wanted in ({"replicaCount": 6}, {"replicaCount": 8, "updateStrategy": {"minReadySeconds": 15}}, {"updateStrategy": {"minReadySeconds": 60}}):
        assert "A rollout waits" not in render(wanted).notes
