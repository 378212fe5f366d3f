"""Install, upgrade, roll back, test, load by hand and uninstall, with the real programs against the API stub."""

import re
from base64 import b64decode
from pathlib import Path

import pytest
import tools
from api_stub import Stub

from chart import CHART, GOLDEN, PROFILES, REPOSITORY, pod_template

# Helm's own minor version is not the server's.
PASSED: dict[str, set[str]] = {major: set() for major in tools.HELM}
STEPS = {"install", "upgrade", "rollback", "uninstall", "manual job"}


class Cluster:
    """The stub, and the programs as somebody would type them in the repository's folder."""

    def __init__(self, stub: Stub, major: str, home: Path):
        self.stub, self.major, self.home = stub, major, home

    def helm(self, *arguments: object, fails: bool = False) -> str:
        run = tools.run(tools.HELM[self.major], "--kube-apiserver", self.stub.url, *arguments, home=self.home, folder=REPOSITORY)
        assert bool(run.returncode) is fails, run.stdout + run.stderr
        return run.stdout + run.stderr

    def kubectl(self, *arguments: object, version: str = "1.30", text: str | None = None) -> str:
        run = tools.run(tools.KUBECTL[version], "--server", self.stub.url, *arguments, home=self.home, folder=REPOSITORY, text=text)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def one(self, kind: str, name: str) -> dict:
        [found] = [o for o in self.stub.store.find(kind) if o["metadata"]["name"] == name]
        return found

    def names(self) -> set[tuple[str, str]]:
        """What is there, but for Helm's own records."""
        return {(o["kind"], o["metadata"]["name"]) for o in self.stub.store.objects.values() if not o["metadata"]["name"].startswith("sh.helm")}


@pytest.fixture(params=tools.HELM)
def cluster(request, tmp_path):
    with Stub() as stub:
        yield Cluster(stub, request.param, tmp_path)


OBJECTS = {
    ("ConfigMap", "order-food"), ("CronJob", "database-load"), ("Deployment", "order-food"), ("PodDisruptionBudget", "order-food"),
    ("Secret", "order-food"), ("Service", "order-food"), ("Service", "order-food-postgresql"), ("ServiceAccount", "order-food"),
    ("StatefulSet", "order-food-postgresql"),
}


def test_the_programs_are_the_versions_meant(cluster):
    assert cluster.helm("version", "--short").startswith(f"v{cluster.major}.")


def test_install_as_typed(cluster):
    output = cluster.helm("upgrade", "--install", "order-food", "./helm/order-food")
    assert "STATUS: deployed" in output
    assert "kubectl --namespace default create job --from=cronjob/database-load manual-load-1" in output
    assert cluster.names() == OBJECTS
    # Again, and again: nothing is in the way.
    before = cluster.one("Secret", "order-food")["data"]
    assert "REVISION: 2" in cluster.helm("upgrade", "--install", "order-food", "./helm/order-food")
    assert cluster.one("Secret", "order-food")["data"] == before
    assert "REVISION: 3" in cluster.helm("upgrade", "--install", "order-food", "./helm/order-food", "--set", "replicaCount=3")
    assert cluster.one("Deployment", "order-food")["spec"]["replicas"] == 3
    PASSED[cluster.major].add("install")


@pytest.mark.parametrize("profile", PROFILES)
def test_every_scenario_installs_and_goes(cluster, profile):
    cluster.helm("install", "order-food", "./helm/order-food", "--values", PROFILES[profile])
    assert cluster.names()
    cluster.helm("uninstall", "order-food")
    assert cluster.names() == set()


def test_upgrade_from_the_last_release_and_back(cluster):
    cluster.helm("install", "order-food", GOLDEN)
    before = {identity: cluster.one(*identity) for identity in cluster.names()}
    # The stub refuses a change of what cannot be changed.
    cluster.helm("upgrade", "order-food", "./helm/order-food", "--set", "replicaCount=4", "--set", "cronjob.suspend=true")
    after = {identity: cluster.one(*identity) for identity in cluster.names()}
    assert before.keys() <= after.keys(), "an upgrade takes nothing away"
    for identity, was in before.items():
        if "selector" in was.get("spec", {}):
            assert after[identity]["spec"]["selector"] == was["spec"]["selector"]
    assert before["Secret", "order-food"]["data"] == after["Secret", "order-food"]["data"]
    assert after["CronJob", "database-load"]["spec"]["suspend"] is True
    PASSED[cluster.major].add("upgrade")
    cluster.helm("rollback", "order-food")
    rolled = {identity: cluster.one(*identity) for identity in cluster.names()}
    assert {i: o["spec"] for i, o in rolled.items() if "spec" in o} == {i: o["spec"] for i, o in before.items() if "spec" in o}
    assert cluster.helm("history", "order-food").count("order-food-0.1.0") == 3
    PASSED[cluster.major].add("rollback")
    cluster.helm("uninstall", "order-food")
    assert cluster.names() == set()
    assert "not found" in cluster.helm("status", "order-food", fails=True)
    PASSED[cluster.major].add("uninstall")


def test_switching_things_on_and_off_again(cluster):
    every = ["--set", "autoscaling.enabled=true,networkPolicy.enabled=true,ingress.enabled=true,metrics.serviceMonitor.enabled=true,metrics.prometheusRule.enabled=true,metrics.grafanaDashboards.enabled=true,job.enabled=true"]
    cluster.helm("upgrade", "--install", "order-food", "./helm/order-food", *every)
    assert "replicas" not in cluster.one("Deployment", "order-food")["spec"]
    [first] = cluster.stub.store.find("Job")
    assert first["metadata"]["name"].startswith("database-load-1-")
    cluster.helm("upgrade", "--install", "order-food", "./helm/order-food", *every)
    [second] = cluster.stub.store.find("Job")
    assert second["metadata"]["name"] == first["metadata"]["name"].replace("-1-", "-2-")
    cluster.helm("upgrade", "--install", "order-food", "./helm/order-food", "--reset-values")
    assert cluster.names() == OBJECTS


# As Argo CD does it, and people who have no Helm on their side: nothing is known of what was there before.
@pytest.mark.parametrize("changes", [
    ["initContainers.databaseLoad.image.tag=2.0.1"],
    ["image.tag=2.0.1", "initContainers.databaseLoad.image.tag=2.0.1", "initContainers.databaseMigration.image.tag=2.0.1"],
    ["commonLabels.team=shop"],
    ["cronjob.resources.limits.memory=1Gi", "nodeSelector.pool=a"],
    ["data.files.products\\.csv=x"],
    ["podAntiAffinityPreset=hard", "updateStrategy.maxSurge=2"],
])
def test_what_is_rendered_can_be_applied_over_what_was_rendered_before(cluster, changes):
    def apply(*settings):
        rendered = cluster.helm("template", "order-food", "./helm/order-food", "--skip-tests", "--set", ",".join(["job.enabled=true", *settings]))
        cluster.kubectl("apply", "--server-side", "--filename", "-", version="1.35", text=rendered)
        return {o["metadata"]["name"] for o in cluster.stub.store.find("Job")}

    first = apply()
    assert apply() == first, "the same, applied again, is no other job"
    # Those of the pods of the API are none of the Job.
    assert len(apply(*changes)) == (1 if changes[0].startswith("pod") else 2)


def test_nothing_that_is_rendered_is_known_to_helm_alone():
    """What a rendering cannot know: the release before, the cluster's objects, chance, the time."""
    words = r"\b(lookup|rand[A-Z]\w+|gen[A-Z]\w+|derivePassword|htpasswd|bcrypt|uuidv4|now|IsInstall|IsUpgrade|Release\.Revision)\b"
    found = set()
    for file in (CHART / "templates").rglob("*.*"):
        code = re.sub(r"\{\{-? ?/\*.*?\*/ ?-?\}\}", "", file.read_text(), flags=re.DOTALL)
        found |= {(file.name, word) for action in re.findall(r"\{\{.*?\}\}", code, re.DOTALL) for word in re.findall(words, action)}
    # Beside what the Job is: see test_jobs.py.
    assert found == {("job.yaml", "Release.Revision")}


def test_a_wrong_upgrade_changes_nothing(cluster):
    cluster.helm("install", "order-food", "./helm/order-food")
    before = cluster.one("Deployment", "order-food")
    assert "replicaCount" in cluster.helm("upgrade", "order-food", "./helm/order-food", "--set", "replicaCount=many", fails=True)
    assert "no database" in cluster.helm("upgrade", "order-food", "./helm/order-food", "--set", "postgresql.enabled=false", fails=True)
    assert cluster.one("Deployment", "order-food") == before


def test_the_stub_refuses_what_a_server_would(cluster):
    cluster.helm("install", "order-food", "./helm/order-food")
    assert "immutable" in cluster.helm("upgrade", "order-food", "./helm/order-food", "--set", "postgresql.persistence.size=2Gi", fails=True)
    extra = ["--set", "extraObjects[0].apiVersion=v1,extraObjects[0].kind=ConfigMap,extraObjects[0].metadata.name=x,extraObjects[0].colour=blue"]
    assert "colour" in cluster.helm("upgrade", "--install", "other", "./helm/order-food", "--namespace", "other", *extra, fails=True)


def test_one_release_a_namespace(cluster):
    cluster.helm("install", "order-food", "./helm/order-food")
    assert "database-load" in cluster.helm("install", "second", "./helm/order-food", fails=True)
    cluster.helm("install", "second", "./helm/order-food", "--namespace", "elsewhere")


def test_the_check_of_a_release(cluster):
    cluster.helm("install", "order-food", "./helm/order-food")
    # Twice: the pod of the first time is in nobody's way.
    for _ in range(2):
        output = cluster.helm("test", "order-food", "--timeout", "60s", "--logs")
        assert "Succeeded" in output
        assert "log of order-food-test" in output


def test_helm_4_can_take_back_what_somebody_scaled(tmp_path):
    assert "--force-conflicts" in (REPOSITORY / "helm/order-food/README.md").read_text()
    with Stub() as stub:
        four = Cluster(stub, "4", tmp_path)
        four.helm("install", "order-food", "./helm/order-food")
        four.helm("upgrade", "order-food", "./helm/order-food", "--force-conflicts")
    three = tools.run(tools.HELM["3"], "upgrade", "--help", home=tmp_path)
    assert "--force-conflicts" not in three.stdout, "the README says that Helm 3 needs none"


@pytest.mark.parametrize("version", tools.KUBECTL)
def test_load_by_hand(cluster, version):
    cluster.helm("install", "order-food", "./helm/order-food", "--namespace", "shop")
    create = ["--namespace", "shop", "create", "job", "--from=cronjob/database-load", "manual-load-1"]
    if version == "1.30":
        cluster.kubectl(*create, version=version)
    else:
        # It sends Jobs in protobuf, which the stub does not read; what it computes is the same.
        computed = cluster.kubectl(*create, "--dry-run=client", "--output", "json", version=version)
        cluster.kubectl("create", "--filename", "-", version=version, text=computed)
    job, cronjob = cluster.one("Job", "manual-load-1"), cluster.one("CronJob", "database-load")
    assert job["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"] == "manual"
    assert job["metadata"]["namespace"] == "shop"
    assert [owner["uid"] for owner in job["metadata"]["ownerReferences"]] == [cronjob["metadata"]["uid"]]
    template = cronjob["spec"]["jobTemplate"]["spec"]
    pod, wanted = pod_template(job)["spec"], template["template"]["spec"]
    assert pod["containers"] == wanted["containers"]
    assert pod["restartPolicy"] == wanted["restartPolicy"]
    assert job["spec"]["backoffLimit"] == template["backoffLimit"]
    # So that kubectl logs --selector finds it.
    assert job["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"] == "database-load"
    assert "database-load" in cluster.kubectl("--namespace", "shop", "get", "cronjobs", version=version)
    PASSED[cluster.major].add("manual job")


def test_the_secret_holds_what_the_server_gets(cluster):
    cluster.helm("install", "order-food", "./helm/order-food")
    data = {key: b64decode(value).decode() for key, value in cluster.one("Secret", "order-food")["data"].items()}
    assert f":{data['POSTGRES_PASSWORD']}@order-food-postgresql:5432/" in data["DATABASE_URL"]


def test_all_steps_passed_with_both_versions_of_helm():
    assert PASSED == {major: STEPS for major in tools.HELM}
