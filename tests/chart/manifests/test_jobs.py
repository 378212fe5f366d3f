"""The periodic load, and the load at install and upgrade."""

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
    return render(values, job__enabled=True).one("Job", "database-load-1")["spec"]["template"]["spec"]


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


@pytest.mark.schema
@pytest.mark.parametrize("limit", ["0", "0Gi", "0.0Gi", "100m", "4GB", "-1", "", "much"])
def test_a_limit_that_the_program_refuses_is_refused(limit):
    assert "spillSizeLimit" in refusal(cronjob__spillSizeLimit=limit)


def test_it_can_be_left_out():
    assert not render(cronjob__enabled=False).has("CronJob")
    assert render(cronjob__enabled=True).has("CronJob")


def test_a_job_for_each_install_and_upgrade():
    assert not render().has("Job")
    job = render(job__enabled=True, revision=7).one("Job", "database-load-7")["spec"]
    cronjob = render().cronjob["jobTemplate"]["spec"]
    migration = job["template"]["spec"].pop("initContainers")
    # The same in everything else.
    assert job == cronjob
    assert migration == render().api_pod["initContainers"][:1]


def test_the_job_migrates_only_if_the_pods_do():
    job = render(job__enabled=True, initContainers__databaseMigration__enabled=False).one("Job", "database-load-1")["spec"]
    assert "initContainers" not in job["template"]["spec"]
    assert "initContainers" not in render().load_pod
