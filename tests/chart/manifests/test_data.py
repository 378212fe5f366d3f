"""Secrets, the database for trying out, data files."""

from base64 import b64decode

import pytest

from chart import EXTERNAL, REPOSITORY, containers, environment, named, render


def decoded(secret):
    return {key: b64decode(value).decode() for key, value in secret["data"].items()}


def test_the_demo_secret_has_values_that_stay():
    secret = render().one("Secret")
    assert secret["type"] == "Opaque"
    assert decoded(secret) == {
        "DATABASE_URL": "postgres://order_food:demo-password@order-food-postgresql:5432/order_food?sslmode=disable",
        "POSTGRES_PASSWORD": "demo-password", "API_KEY_PEPPER": "demo-pepper",
    }
    changed = render(
        postgresql__auth={"username": "u", "password": "p", "database": "d"}, apiKeyPepper__demoValue="q", fullnameOverride="shop"
    )
    assert decoded(changed.one("Secret")) == {
        "DATABASE_URL": "postgres://u:p@shop-postgresql:5432/d?sslmode=disable", "POSTGRES_PASSWORD": "p", "API_KEY_PEPPER": "q",
    }
    before, after = (m.deployment["template"]["metadata"]["annotations"]["checksum/secret"] for m in (render(), render(apiKeyPepper__demoValue="q")))
    assert before != after


def secrets(pod):
    return {v["name"]: (v["secret"]["secretName"], v["secret"]["items"], v["secret"]["defaultMode"]) for v in pod["volumes"] if "secret" in v}


@pytest.mark.parametrize(("values", "database", "pepper"), [
    ({}, ("order-food", "DATABASE_URL"), ("order-food", "API_KEY_PEPPER")),
    # Keys of Secrets of one's own do not apply to the chart's Secret.
    ({"database": {"existingSecretKey": "url"}, "apiKeyPepper": {"existingSecretKey": "pepper"}}, ("order-food", "DATABASE_URL"), ("order-food", "API_KEY_PEPPER")),
    ({"apiKeyPepper": {"existingSecret": "mine", "existingSecretKey": "pepper"}}, ("order-food", "DATABASE_URL"), ("mine", "pepper")),
    (EXTERNAL, ("external", "DATABASE_URL"), ("external", "API_KEY_PEPPER")),
    ({**EXTERNAL, "database": {"existingSecret": "external", "existingSecretKey": "url"}, "apiKeyPepper": {"existingSecretKey": "pepper"}}, ("external", "url"), ("external", "pepper")),
    ({**EXTERNAL, "apiKeyPepper": {"existingSecret": "mine"}}, ("external", "DATABASE_URL"), ("mine", "API_KEY_PEPPER")),
])
def test_secrets_come_as_files(values, database, pepper):
    manifests = render(values)
    for pod in (manifests.api_pod, manifests.load_pod):
        assert secrets(pod) == {
            "database": (database[0], [{"key": database[1], "path": "url"}], 0o440),
            "pepper": (pepper[0], [{"key": pepper[1], "path": "pepper"}], 0o440),
        }
        for container in containers(pod):
            mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
            variables = environment(container)
            assert variables["DATABASE_URL_FILE"] == "/secrets/database/url"
            assert mounts["database"] == "/secrets/database"
            migrates = container["name"] == "database-migration"
            assert variables.get("API_KEY_PEPPER_FILE") == (None if migrates else "/secrets/pepper/pepper")
            assert mounts.get("pepper") == (None if migrates else "/secrets/pepper")


def test_an_external_database_brings_no_secret_and_no_server():
    manifests = render(EXTERNAL)
    assert not manifests.has("Secret")
    assert not manifests.has("StatefulSet")
    assert [o["metadata"]["name"] for o in manifests.all("Service")] == ["order-food"]
    assert manifests.deployment["template"]["metadata"]["annotations"].keys() == {"checksum/config"}


def test_the_server():
    stateful = render().one("StatefulSet")["spec"]
    pod, server = stateful["template"]["spec"], stateful["template"]["spec"]["containers"][0]
    assert (stateful["replicas"], stateful["serviceName"]) == (1, "order-food-postgresql")
    assert server["image"] == "docker.io/library/postgres:17.9-bookworm"
    assert server["args"] == ["-c", "max_connections=100"]
    assert [(p["name"], p["containerPort"], p["protocol"]) for p in server["ports"]] == [("postgresql", 5432, "TCP")]
    assert environment(server) == {
        "POSTGRES_USER": "order_food", "POSTGRES_DB": "order_food", "POSTGRES_PASSWORD_FILE": "/secrets/postgresql/password",
        "PGDATA": "/var/lib/postgresql/data/pgdata",
    }
    assert {m["name"]: (m["mountPath"], m.get("readOnly", False)) for m in server["volumeMounts"]} == {
        "data": ("/var/lib/postgresql/data", False), "run": ("/var/run/postgresql", False), "tmp": ("/tmp", False),
        "password": ("/secrets/postgresql/password", True),
    }
    # A file alone does not change while the pod runs: a new password in the values is not the server's.
    assert named(server["volumeMounts"], "password")["subPath"] == "password"
    assert secrets(pod) == {"password": ("order-food", [{"key": "POSTGRES_PASSWORD", "path": "password"}], 0o440)}
    assert named(pod["volumes"], "run")["emptyDir"] == {"sizeLimit": "16Mi"}
    assert named(pod["volumes"], "tmp")["emptyDir"] == {"sizeLimit": "256Mi"}
    assert pod["terminationGracePeriodSeconds"] == 60
    assert pod["securityContext"] == {
        "runAsNonRoot": True, "runAsUser": 999, "runAsGroup": 999, "fsGroup": 999,
        "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert server["resources"] == {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}}


SCRIPTS = REPOSITORY / "helm/order-food/files/postgresql"


def test_the_database_is_made_before_the_server_starts():
    """tests/scripts runs the script, kills it at every step, and the server too."""
    for values in ({}, {"postgresql": {"image": {"tag": "18"}, "auth": {"database": "d"}, "resources": {"limits": {"memory": "1Gi"}}}}):
        pod = render(values).postgresql_pod
        [before], [server] = pod["initContainers"], pod["containers"]
        assert (before.pop("name"), before.pop("command"), before.pop("args")) == ("prepare-data", ["sh", "-c"], [(SCRIPTS / "prepare.sh").read_text()])
        # The same in everything else: it works on the server's data, with the server's programs.
        assert before == {field: server[field] for field in before}
        assert before.keys() == server.keys() - {"name", "args", "ports", "startupProbe", "readinessProbe", "livenessProbe"}


def test_an_upgrade_of_the_chart_does_not_restart_the_server():
    template = render().one("StatefulSet")["spec"]["template"]
    selector = {"app.kubernetes.io/name": "postgresql", "app.kubernetes.io/instance": "order-food", "app.kubernetes.io/component": "postgresql"}
    assert template["metadata"] == {"labels": selector}
    common = render({"commonLabels": {"team": "shop", "app.kubernetes.io/name": "mine"}, "commonAnnotations": {"owner": "me"}}).one("StatefulSet")["spec"]["template"]["metadata"]
    assert common == {"labels": {**selector, "team": "shop"}, "annotations": {"owner": "me"}}
    # Nor does what belongs to the API.
    changed = render(image__tag="2", image__pullPolicy="Always", replicaCount=3, log__filter="debug", apiKeyPepper__demoValue="q", data__files={"users.csv": "x"})
    assert changed.one("StatefulSet")["spec"]["template"] == template


def test_a_server_that_never_came_up_is_replaced_by_an_upgrade():
    # With the other policy the controller waits for the broken pod.
    assert render().one("StatefulSet")["spec"]["podManagementPolicy"] == "Parallel"


def test_the_platform_may_choose_the_servers_user():
    context = render(postgresql__runAsUser=None).postgresql_pod["securityContext"]
    assert context == {"runAsNonRoot": True, "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"}}


def test_the_server_is_ready_with_the_shops_database_and_alive_while_it_answers():
    """tests/scripts runs the probes against servers with faults."""
    server = render().postgresql_pod["containers"][0]
    answers = {"exec": {"command": ["sh", "-c", "pg_isready --quiet --host=127.0.0.1; [ $? -lt 2 ]"]}}
    asks = {"exec": {"command": ["sh", "-c", (SCRIPTS / "ready.sh").read_text()]}}
    # Ten minutes for the first start, which must not be killed.
    assert server["startupProbe"] == {**answers, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 300}
    assert server["readinessProbe"] == {**asks, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 3}
    assert server["livenessProbe"] == {**answers, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6}


def test_the_server_follows_the_values():
    manifests = render(
        database__maxConnections=50, postgresql__runAsUser=1000000, postgresql__resources={"limits": {"memory": "1Gi"}},
        postgresql__auth={"username": "u", "database": "d"}, postgresql__image={"tag": "18", "registry": ""},
    )
    pod = manifests.postgresql_pod
    server = pod["containers"][0]
    assert server["args"] == ["-c", "max_connections=50"]
    assert {pod["securityContext"][field] for field in ("runAsUser", "runAsGroup", "fsGroup")} == {1000000}
    assert server["resources"]["limits"]["memory"] == "1Gi"
    assert server["image"] == "library/postgres:18"
    assert environment(server)["POSTGRES_USER"] == "u"
    assert environment(server)["POSTGRES_DB"] == "d"


def test_its_data_are_kept():
    stateful = render().one("StatefulSet")["spec"]
    [claim] = stateful["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "data"
    assert claim["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    chosen = render(postgresql__persistence={"storageClass": "fast", "size": "8Gi"}).one("StatefulSet")["spec"]["volumeClaimTemplates"][0]["spec"]
    assert (chosen["storageClassName"], chosen["resources"]["requests"]["storage"]) == ("fast", "8Gi")
    lost = render(postgresql__persistence__enabled=False).one("StatefulSet")["spec"]
    assert "volumeClaimTemplates" not in lost
    assert named(lost["template"]["spec"]["volumes"], "data") == {"name": "data", "emptyDir": {}}


def test_its_service_keeps_its_address():
    service = render().one("Service", "order-food-postgresql")["spec"]
    assert service["type"] == "ClusterIP"
    assert "clusterIP" not in service
    assert service["ports"] == [{"name": "postgresql", "port": 5432, "targetPort": "postgresql", "protocol": "TCP"}]


FILES = {"products.csv": "id,name\n1,\"Wa\tffle: {{ x }}\"\n", "users.csv": "a"}


@pytest.mark.parametrize(("data", "volume"), [
    ({"files": FILES}, {"name": "data", "configMap": {"name": "order-food-data"}}),
    ({"existingConfigMap": "mine"}, {"name": "data", "configMap": {"name": "mine"}}),
    ({"existingClaim": "mine"}, {"name": "data", "persistentVolumeClaim": {"claimName": "mine", "readOnly": True}}),
])
def test_data_files_are_seen_by_both_loads(data, volume):
    manifests = render(data=data)
    for pod in (manifests.api_pod, manifests.load_pod):
        assert named(pod["volumes"], "data") == volume
        for container in containers(pod):
            loads = container["name"] == "database-load"
            mounts = {mount["name"]: (mount["mountPath"], mount.get("readOnly")) for mount in container["volumeMounts"]}
            assert mounts.get("data") == (("/data", True) if loads else None)
            assert environment(container).get("DATA_DIR") == ("/data" if loads else None)


def test_data_files_become_a_configmap_that_restarts_the_pods():
    manifests = render(data__files=FILES)
    assert manifests.one("ConfigMap", "order-food-data")["data"] == FILES
    checksums = [render(data__files=files).deployment["template"]["metadata"]["annotations"]["checksum/data"] for files in (FILES, {"users.csv": "b"})]
    assert checksums[0] != checksums[1]
    assert "checksum/data" not in render(data__existingConfigMap="mine").deployment["template"]["metadata"]["annotations"]


def test_without_data_files_the_compiled_in_ones_are_loaded():
    manifests = render()
    for pod in (manifests.api_pod, manifests.load_pod):
        assert [v["name"] for v in pod["volumes"]] == ["tmp", "database", "pepper"]
        assert not any("DATA_DIR" in environment(container) for container in containers(pod))
    assert [o["metadata"]["name"] for o in manifests.all("ConfigMap")] == ["order-food"]
