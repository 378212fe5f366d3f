"""What is refused before it gets to the cluster, with messages that say what to set; and what people are told."""

import pytest

from chart import EXTERNAL, refusal, render


@pytest.mark.parametrize(("values", "parts"), [
    ({"postgresql": {"enabled": False}}, ["no database", "database.existingSecret", "DATABASE_URL and API_KEY_PEPPER", "postgresql.enabled=true"]),
    ({"database": {"existingSecret": "mine"}}, ["database.existingSecret is mine", "postgresql.enabled=false"]),
    ({"replicaCount": 12}, ["13 pods", "93 connections", "90 are allowed", "database.poolSize", "database.maxConnections"]),
    ({"autoscaling": {"enabled": True, "maxReplicas": 12}}, ["13 pods", "93 connections", "90 are allowed"]),
    ({"replicaCount": 11, "updateStrategy": {"maxSurge": 2}}, ["13 pods", "93 connections"]),
    ({"database": {"poolSize": 28}}, ["3 pods", "92 connections", "90 are allowed"]),
    ({"database": {"maxConnections": 30}}, ["3 pods", "23 connections", "20 are allowed"]),
    ({"database": {"reservedConnections": 78}}, ["23 connections", "22 are allowed"]),
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
    {"replicaCount": 11}, {"autoscaling": {"enabled": True, "maxReplicas": 11}}, {"replicaCount": 10, "updateStrategy": {"maxSurge": 2}},
    {"database": {"poolSize": 27}}, {"database": {"maxConnections": 33}}, {"database": {"reservedConnections": 77}},
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


@pytest.mark.schema
@pytest.mark.parametrize("values", [
    {"replicas": 2}, {"image": {"name": "x"}}, {"replicaCount": "two"}, {"image": {"pullPolicy": "Sometimes"}}, {"cronjob": {"schedule": "often"}},
    {"image": {"tag": "a b"}}, {"postgresql": {"auth": {"password": "p@ss"}}}, {"resources": {"limits": {"memory": "lots"}}}, {"service": {"port": 0}},
])
def test_values_that_mean_nothing_are_refused(values):
    assert "order-food:" in refusal(values)


# What the programs refuse.
@pytest.mark.schema
@pytest.mark.parametrize("endpoint", [
    "jaeger:4318", "ftp://jaeger", "http://", "http:///v1", "http://:4318", "http://jaeger:", "http://jaeger:port", "http://jaeger:0", "http://jaeger:65536", "http://jaeger:99999",
    "http://jaeger:4318:4318", "http://[::1", "http://[::1]:99999", "http://me:secret@jaeger:4318", "http://jaeger?a=b", "http://jag er",
])
def test_a_collector_that_cannot_be_is_refused(endpoint):
    assert "otlpEndpoint" in refusal(telemetry__otlpEndpoint=endpoint)


@pytest.mark.schema
@pytest.mark.parametrize("endpoint", [
    "", "http://jaeger", "https://jaeger.monitoring.svc.cluster.local:4318", "http://10.0.0.1:1/", "http://[fd00::1]:65535/otlp", "http://jaeger:59999", "http://jaeger:64999", "http://jaeger:65499", "http://jaeger:65529",
])
def test_a_collector_that_can_be_is_allowed(endpoint):
    assert render(telemetry__otlpEndpoint=endpoint).settings.get("OTEL_EXPORTER_OTLP_ENDPOINT", "") == endpoint


@pytest.mark.schema
@pytest.mark.parametrize("text", ["", "order_food=loud", "=info", "a=b=c", "a=9", "info,,=warn", "a[b", "{", "*", '"', "a=info/x", "info,"])
def test_a_log_filter_that_cannot_be_is_refused(text):
    assert "filter" in refusal(log__filter=text)


@pytest.mark.schema
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
