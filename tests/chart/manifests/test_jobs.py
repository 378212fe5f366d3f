"""The periodic load, and the load at install and upgrade."""

import re

import pytest

from chart import containers, environment, named, refusal, render

DEFAULT = {
    "schedule": "0 */6 * * *", "timeZone": "Etc/UTC", "concurrencyPolicy": "Forbid", "startingDeadlineSeconds": 3600, "suspend": False,
    "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 3,
}
JOB = {"backoffLimit": 2, "activeDeadlineSeconds": 900, "ttlSecondsAfterFinished": 86400}


def test_the_schedule():
    cronjob = dict(render().cronjob)
    template = cronjob.pop("jobTemplate")["spec"]
    assert cronjob == DEFAULT
    assert {field: template[field] for field in JOB} == JOB
    assert template["template"]["spec"]["restartPolicy"] == "Never"


@pytest.mark.parametrize(("field", "value"), [
    ("schedule", "@daily"), ("timeZone", "Europe/Berlin"), ("concurrencyPolicy", "Replace"), ("startingDeadlineSeconds", 2000000),
    ("suspend", True), ("successfulJobsHistoryLimit", 1), ("failedJobsHistoryLimit", 0),
])
def test_fields_of_the_cronjob(field, value):
    cronjob = dict(render({"cronjob": {field: value}}).cronjob)
    del cronjob["jobTemplate"]
    assert cronjob == {**DEFAULT, field: value}


@pytest.mark.parametrize(("field", "value"), [("backoffLimit", 0), ("activeDeadlineSeconds", 2000000), ("ttlSecondsAfterFinished", 3000000)])
def test_fields_of_its_jobs(field, value):
    job = render({"cronjob": {field: value}}).cronjob["jobTemplate"]["spec"]
    assert {name: job[name] for name in JOB} == {**JOB, field: value}


def test_what_cannot_get_better_is_not_tried_again():
    job = render().cronjob["jobTemplate"]["spec"]
    assert job["podFailurePolicy"]["rules"] == [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        # A setting that is wrong; a file that is wrong; too little room.
        {"action": "FailJob", "onExitCodes": {"containerName": "database-load", "operator": "In", "values": [2, 4, 7]}},
    ]


def test_the_same_pod_can_try_again():
    job = render(cronjob__restartPolicy="OnFailure").cronjob["jobTemplate"]["spec"]
    assert job["template"]["spec"]["restartPolicy"] == "OnFailure"
    # The two do not go together.
    assert "podFailurePolicy" not in job


def scratch(pod):
    """What the load may put into /tmp, by itself and by Kubernetes."""
    [load] = [c for c in containers(pod) if c["name"] == "database-load"]
    assert named(load["volumeMounts"], "tmp")["mountPath"] == "/tmp"
    return environment(load)["SPILL_SIZE_LIMIT"], named(pod["volumes"], "tmp")["emptyDir"]["sizeLimit"]


def job_pod(values):
    return render(values, job__enabled=True).one("Job")["spec"]["template"]["spec"]


# The program's own limit comes first: Kubernetes does not see its files, and ends a pod without a word of what to do.
@pytest.mark.parametrize(("limit", "volume"), [("4Gi", "5Gi"), ("16Gi", "18Gi"), ("10Mi", "11Mi"), ("1.5Gi", "2Gi"), ("500M", "550M"), ("0.5Gi", "1Gi"), ("4096", "4506")])
def test_coupon_files_may_spill_up_to_a_limit_that_the_program_knows(limit, volume):
    values = {"cronjob": {"spillSizeLimit": limit}}
    assert scratch(render(values).load_pod) == scratch(job_pod(values)) == (limit, volume)


def test_each_load_knows_how_much_it_may_spill():
    assert scratch(render().load_pod) == scratch(job_pod({})) == ("4Gi", "5Gi")
    # Without coupon files; whatever the periodic load may.
    assert scratch(render(cronjob__spillSizeLimit="16Gi").api_pod) == ("58Mi", "64Mi")
    for pod in (render().api_pod, job_pod({})):
        assert [c["name"] for c in containers(pod) if "SPILL_SIZE_LIMIT" in environment(c)] == ["database-load"]


@pytest.mark.parametrize("limit", ["0", "0Gi", "0.0Gi", "100m", "4GB", "-1", "", "much"])
def test_a_limit_that_the_program_refuses_is_refused(limit):
    assert "spillSizeLimit" in refusal(cronjob__spillSizeLimit=limit)


def test_it_can_be_left_out():
    assert not render(cronjob__enabled=False).has("CronJob")
    assert render(cronjob__enabled=True).has("CronJob")


def test_a_job_for_each_install_and_upgrade():
    assert not render().has("Job")
    job = render(job__enabled=True, revision=7).one("Job")["spec"]
    cronjob = render().cronjob["jobTemplate"]["spec"]
    migration = job["template"]["spec"].pop("initContainers")
    # The same in everything else.
    assert job == cronjob
    assert migration == render().api_pod["initContainers"][:1]


def test_the_job_migrates_only_if_the_pods_do():
    job = render(job__enabled=True, initContainers__databaseMigration__enabled=False).one("Job")["spec"]
    assert "initContainers" not in job["template"]["spec"]
    assert "initContainers" not in render().load_pod


def job_name(values=None, **options):
    return render(values, job__enabled=True, **options).one("Job")["metadata"]["name"]


def test_the_name_of_the_job_has_the_revision_and_what_it_is():
    assert re.fullmatch("database-load-1-[0-9a-f]{8}", job_name())
    # The same job again, with the next upgrade.
    assert job_name(revision=7) == job_name().replace("-1-", "-7-")


# For Argo CD it is revision 1 for ever, and a Job that is there cannot be changed.
@pytest.mark.parametrize("values", [
    # The pod itself.
    {"initContainers": {"databaseLoad": {"image": {"tag": "2"}}}}, {"initContainers": {"databaseMigration": {"image": {"tag": "2"}}}},
    {"initContainers": {"databaseMigration": {"enabled": False}}}, {"cronjob": {"image": {"digest": "sha256:" + "a" * 64}}},
    {"cronjob": {"resources": {"limits": {"memory": "1Gi"}}}}, {"cronjob": {"restartPolicy": "OnFailure"}}, {"cronjob": {"backoffLimit": 1}},
    {"commonLabels": {"team": "shop"}}, {"commonAnnotations": {"owner": "me"}}, {"nodeSelector": {"pool": "a"}},
    {"extraEnvVars": [{"name": "A", "value": "1"}]}, {"fullnameOverride": "diner"},
    # What it reads: a Job that is done does not notice.
    {"data": {"files": {"products.csv": "x"}}}, {"log": {"format": "pretty"}}, {"postgresql": {"auth": {"password": "other"}}},
])
def test_another_job_has_another_name(values):
    assert job_name(values) != job_name()


def test_other_data_are_another_job():
    assert len({job_name({"data": {"files": {"products.csv": text}}}) for text in ("a", "b", "c")}) == 3


@pytest.mark.parametrize("values", [
    {"replicaCount": 3}, {"cronjob": {"schedule": "@daily"}}, {"ingress": {"enabled": True}}, {"podLabels": {"tier": "api"}}, {"job": {"annotations": {"a": "b"}}},
])
def test_a_change_elsewhere_is_no_other_job(values):
    assert job_name(values) == job_name()


def test_annotations_of_the_job():
    standard = render(job__enabled=True).one("Job")["metadata"]["annotations"]
    assert standard == {
        # With a sync, as Helm starts it with an upgrade; that it is removed later is no difference to the repository.
        "argocd.argoproj.io/hook": "Sync", "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation",
        "helm.toolkit.fluxcd.io/driftDetection": "disabled",
    }
    own = render({"job": {"annotations": {"argocd.argoproj.io/hook": "PostSync", "a": "b"}}}, job__enabled=True).one("Job")["metadata"]["annotations"]
    assert own == {**standard, "argocd.argoproj.io/hook": "PostSync", "a": "b"}
    assert "annotations" not in render().one("CronJob")["metadata"]
