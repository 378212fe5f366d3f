"""What people type: names, labels and value names that are a promise."""

import pytest

from chart import EXTERNAL, containers, named, render


@pytest.mark.parametrize("release", ["order-food", "shop", "a-very-long-release-name-that-goes-on-and-on-and-on"])
def test_the_cronjob_has_its_name_whatever_the_release(release):
    manifests = render(name=release)
    assert manifests.one("CronJob")["metadata"]["name"] == "database-load"
    pod = manifests.cronjob["jobTemplate"]["spec"]["template"]
    assert pod["metadata"]["labels"]["app.kubernetes.io/name"] == "database-load"
    assert manifests.deployment["template"]["metadata"]["labels"]["app.kubernetes.io/name"] == "order-food"


@pytest.mark.parametrize(("release", "name"), [
    ("order-food", "order-food"), ("my-order-food", "my-order-food"), ("shop", "shop-order-food"),
    ("a-very-long-release-name-that-goes-on-an-and-on", "a-very-long-release-name-that-goes-on-an"),
    ("a-release-name-that-ends-just-with-order", "a-release-name-that-ends-just-with-order"),
    ("x-order-food-that-is-long-and-cut-here-1-dash", "x-order-food-that-is-long-and-cut-here-1"),
    ("x-order-food-that-is-long-and-cut-after-a-dash", "x-order-food-that-is-long-and-cut-after"),
    ("release-that-is-cut-just-behind-a-dashhh", "release-that-is-cut-just-behind-a-dashhh"),
])
def test_names_follow_the_release_and_are_short_enough(release, name):
    assert render(name=release).one("Deployment")["metadata"]["name"] == name


def test_a_cut_name_does_not_end_with_a_dash():
    assert render(name="a-release-name-of-thirty-nine-letters-x").one("Deployment")["metadata"]["name"] == "a-release-name-of-thirty-nine-letters-x"


def test_names_can_be_chosen():
    manifests = render(fullnameOverride="shop", networkPolicy__enabled=True, data__files={"users.csv": "x"})
    names = {o["metadata"]["name"] for o in manifests}
    assert names == {"shop", "shop-postgresql", "shop-data", "shop-load", "shop-test", "database-load"}


def test_init_containers_migrate_then_load():
    api = render()
    assert [c["name"] for c in api.api_pod["initContainers"]] == ["database-migration", "database-load"]
    migration, load = api.api_pod["initContainers"]
    assert "args" not in migration
    assert load["args"] == ["--only", "products,users,promotions,orders"]
    assert not any("command" in container for container in containers(api.api_pod))
    assert [c["name"] for c in api.api_pod["containers"]] == ["order-food"]


def test_the_periodic_load_runs_the_ordinary_command():
    load = render().load
    assert "args" not in load
    assert "command" not in load


@pytest.mark.parametrize(("off", "left"), [
    (("databaseMigration",), ["database-load"]),
    (("databaseLoad",), ["database-migration"]),
    (("databaseMigration", "databaseLoad"), []),
])
def test_init_containers_can_be_left_out(off, left):
    pod = render({"initContainers": {name: {"enabled": False} for name in off}}).api_pod
    assert [c["name"] for c in pod.get("initContainers", [])] == left
    assert left or "initContainers" not in pod


FOREIGN = ("prepare-data", "postgresql")


def images(manifests):
    return {c["image"] for _, pod in manifests.pods() for c in containers(pod["spec"]) if c["name"] not in FOREIGN}


def test_images_have_no_registry_and_the_version_of_the_chart():
    manifests = render()
    assert images(manifests) == {"order-food:0.1.0", "database-migration:0.1.0", "database-load:0.1.0"}
    assert manifests.api["image"] == "order-food:0.1.0"
    assert [c["image"] for c in manifests.api_pod["initContainers"]] == ["database-migration:0.1.0", "database-load:0.1.0"]
    assert manifests.load["image"] == "database-load:0.1.0"
    assert manifests.one("Pod", "order-food-test")["spec"]["containers"][0]["image"] == "order-food:0.1.0"
    assert all(c["imagePullPolicy"] == "IfNotPresent" for _, pod in manifests.pods() for c in containers(pod["spec"]))


def test_one_pull_policy_is_for_all_but_the_foreign_image():
    manifests = render(image__pullPolicy="Never")
    policies = {c["name"]: c["imagePullPolicy"] for _, pod in manifests.pods() for c in containers(pod["spec"])}
    assert {policies.pop(name) for name in FOREIGN} == {"IfNotPresent"}
    assert set(policies.values()) == {"Never"}
    assert render(postgresql__image__pullPolicy="", image__pullPolicy="Always").postgresql_pod["containers"][0]["imagePullPolicy"] == "Always"


def test_pull_policies_of_their_own():
    manifests = render(initContainers__databaseMigration__image__pullPolicy="Always", initContainers__databaseLoad__image__pullPolicy="Never")
    assert manifests.api["imagePullPolicy"] == "IfNotPresent"
    assert [c["imagePullPolicy"] for c in manifests.api_pod["initContainers"]] == ["Always", "Never"]
    assert manifests.load["imagePullPolicy"] == "Never"
    assert render(initContainers__databaseLoad__image__pullPolicy="Never", cronjob__image__pullPolicy="Always").load["imagePullPolicy"] == "Always"


DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(("image", "reference"), [
    ({"registry": "registry.example"}, "registry.example/order-food:0.1.0"),
    ({"repository": "team/api", "tag": "2"}, "team/api:2"),
    ({"tag": "2", "digest": DIGEST}, f"order-food@{DIGEST}"),
])
def test_an_image_is_put_together(image, reference):
    assert render({"image": image}).api["image"] == reference


@pytest.mark.parametrize(("init", "own", "reference"), [
    ({"registry": "r.example", "tag": "2"}, {}, "r.example/database-load:2"),
    ({"tag": "2"}, {"tag": "3"}, "database-load:3"),
    ({"digest": DIGEST}, {"tag": "3"}, "database-load:3"),
    ({"digest": DIGEST}, {}, f"database-load@{DIGEST}"),
    ({"tag": "2"}, {"digest": DIGEST, "repository": "fast-load", "registry": "r.example"}, f"r.example/fast-load@{DIGEST}"),
])
def test_the_periodic_load_has_the_image_of_the_init_container_unless_told_otherwise(init, own, reference):
    manifests = render({"initContainers": {"databaseLoad": {"image": init}}, "cronjob": {"image": own}})
    assert manifests.load["image"] == reference
    plain = render({"initContainers": {"databaseLoad": {"image": init}}})
    assert named(manifests.api_pod["initContainers"], "database-load")["image"] == plain.load["image"]


def test_pull_secrets_are_for_every_pod():
    for _, pod in render(image__pullSecrets=["one", "two"], job__enabled=True).pods():
        assert pod["spec"]["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
    assert not any("imagePullSecrets" in pod["spec"] for _, pod in render().pods())


def test_labels_and_annotations_for_everything():
    manifests = render(
        {"commonLabels": {"team": "shop", "app.kubernetes.io/name": "mine"}, "commonAnnotations": {"owner": "me"}},
        data__files={"users.csv": "x"}, networkPolicy__enabled=True, ingress__enabled=True, autoscaling__enabled=True,
        metrics__serviceMonitor__enabled=True, httpRoute__enabled=True, httpRoute__parentRefs=[{"name": "public"}], job__enabled=True,
    )
    for resource in manifests:
        assert resource["metadata"]["labels"]["team"] == "shop"
        assert resource["metadata"]["labels"]["app.kubernetes.io/name"] != "mine"
        assert resource["metadata"]["annotations"]["owner"] == "me"
    for _, pod in manifests.pods():
        assert pod["metadata"]["labels"]["team"] == "shop"
        assert pod["metadata"]["annotations"]["owner"] == "me"
    assert "annotations" not in render().one("Deployment")["metadata"]


def test_labels_and_annotations_of_single_objects():
    manifests = render(
        podLabels={"tier": "api", "app.kubernetes.io/component": "mine"}, podAnnotations={"a": "1"},
        service__annotations={"b": "2"}, serviceAccount__annotations={"c": "3"},
    )
    template = manifests.deployment["template"]["metadata"]
    assert template["labels"]["tier"] == "api"
    assert template["labels"]["app.kubernetes.io/component"] == "api"
    assert template["annotations"]["a"] == "1"
    assert manifests.one("Service", "order-food")["metadata"]["annotations"] == {"b": "2"}
    assert manifests.one("ServiceAccount")["metadata"]["annotations"] == {"c": "3"}
    assert "tier" not in manifests.one("Deployment")["metadata"]["labels"]


def test_extra_objects_are_templates():
    manifests = render(extraObjects=[
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-extra", "namespace": "{{ .Release.Namespace }}"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "second"}},
    ])
    assert manifests.one("ConfigMap", "order-food-extra")["metadata"]["namespace"] == "shop"
    assert manifests.one("Secret", "second")


def test_nothing_is_left_of_what_is_off():
    kinds = {o["kind"] for o in render()}
    assert kinds == {"ConfigMap", "CronJob", "Deployment", "Pod", "PodDisruptionBudget", "Secret", "Service", "ServiceAccount", "StatefulSet"}
    bare = {o["kind"] for o in render(EXTERNAL, cronjob__enabled=False, pdb__enabled=False, serviceAccount__create=False)}
    assert bare == {"ConfigMap", "Deployment", "Pod", "Service"}


def test_the_check_of_a_release_asks_through_the_service():
    # A pod, as helm test --logs looks for one of the hook's name; and it stays, as Helm 3 looks after it is done.
    pod = render(service__port=8081).one("Pod", "order-food-test")
    assert pod["metadata"]["annotations"] == {"helm.sh/hook": "test", "helm.sh/hook-delete-policy": "before-hook-creation"}
    spec = pod["spec"]
    assert spec["activeDeadlineSeconds"] == 60
    assert spec["restartPolicy"] == "Never"
    assert [c["name"] for c in spec["containers"]] == ["healthcheck"]
    assert spec["containers"][0]["args"] == ["healthcheck", "--url", "http://order-food:8081/readyz"]
    assert spec["containers"][0]["resources"] == {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"cpu": "500m", "memory": "64Mi"}}
