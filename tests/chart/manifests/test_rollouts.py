"""Whether what can be installed can also be replaced: rollouts on clusters that are full, in a model of Kubernetes."""

import json
from base64 import b64decode

import pytest
import tools
import yaml
from rollout import roll

from chart import CHART, PROFILES, Loader, Manifests, profile_values, refusal, render

SELECTOR = {"app.kubernetes.io/name": "order-food", "app.kubernetes.io/instance": "order-food", "app.kubernetes.io/component": "api"}
HARD = {"podAntiAffinityPreset": "hard"}


def rendered_for(minor, values, tmp_path):
    """A cluster's version is known to Helm's own program only."""
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(values))
    run = tools.run(tools.HELM["4"], "template", "order-food", CHART, "--kube-version", minor, "--values", file, home=tmp_path)
    assert run.returncode == 0, run.stderr
    return Manifests(o for o in yaml.load_all(run.stdout, Loader) if o)


def notes_for(minor, values, tmp_path):
    """Helm shows notes only of what it installs."""
    notes = '{{ include "order-food/templates/NOTES.txt" . | b64enc }}'
    extra = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notes"}, "data": {"notes": notes}}
    return b64decode(rendered_for(minor, {**values, "extraObjects": [extra]}, tmp_path).one("ConfigMap", "notes")["data"]["notes"]).decode()


def term(deployment):
    [found] = deployment["template"]["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return found


@pytest.mark.parametrize(("replicas", "nodes"), [(3, 3), (1, 1), (2, 2), (5, 5), (3, 4)])
@pytest.mark.parametrize("strategy", [{}, {"maxSurge": 2}, {"maxUnavailable": 1}])
def test_a_pod_on_every_node_is_no_reason_to_wait(replicas, nodes, strategy):
    deployment = render(HARD, replicaCount=replicas, updateStrategy=strategy).deployment
    outcome = roll(deployment, deployment, replicas, nodes, starting=4)
    assert outcome.done
    # Hard is hard: no node has two of them.
    assert len(set(outcome.placed)) == replicas


@pytest.mark.parametrize("profile", PROFILES)
def test_every_scenario_can_be_upgraded_where_its_pods_fill_the_nodes(profile):
    deployment = render(profile=profile).deployment
    replicas = deployment.get("replicas") or profile_values(profile)["autoscaling"].get("minReplicas", 2)
    assert roll(deployment, deployment, replicas, replicas).done


@pytest.mark.parametrize("constraints", [
    [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}],
    [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}],
    [{"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule"} for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")],
])
@pytest.mark.parametrize(("replicas", "nodes"), [(3, 3), (4, 3), (7, 3), (2, 4)])
def test_pods_that_must_be_spread_can_be_replaced(constraints, replicas, nodes):
    deployment = render(replicaCount=replicas, topologySpreadConstraints=constraints).deployment
    assert roll(deployment, deployment, replicas, nodes).done


def test_the_model_waits_where_kubernetes_does():
    deployment = render(HARD, replicaCount=3).deployment
    del term(deployment)["matchLabelKeys"]
    assert not roll(deployment, deployment, 3, 3).done
    assert roll(deployment, deployment, 3, 4).done
    # The first upgrade to pods that know of rollouts, as the README says: those of before do not accept them.
    knowing = render(HARD, replicaCount=3).deployment
    assert not roll(deployment, knowing, 3, 3).done
    assert roll(deployment, render(HARD, replicaCount=3, updateStrategy__maxUnavailable=1).deployment, 3, 3).done


@pytest.mark.parametrize(("minor", "knows"), [("1.30.0", False), ("1.30.14", False), ("1.31.0", True), ("1.31.0-rc.1", True), ("1.34.4+k3s1", True), ("1.37.0", True)])
def test_the_field_is_used_where_the_cluster_knows_it(minor, knows, tmp_path):
    soft = rendered_for(minor, {}, tmp_path).api_pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"]
    expected = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": SELECTOR}, **({"matchLabelKeys": ["pod-template-hash"]} if knows else {})}
    assert soft == term(rendered_for(minor, HARD, tmp_path).deployment) == expected


@pytest.mark.parametrize("values", [{}, {"replicaCount": 3}, {"updateStrategy": {"maxSurge": 3}}])
def test_notes_warn_where_it_does_not(values, tmp_path):
    warning = "Set updateStrategy.maxUnavailable=1."
    assert warning in notes_for("1.30.0", {**HARD, **values}, tmp_path)
    assert warning not in notes_for("1.31.0", {**HARD, **values}, tmp_path)
    assert warning not in notes_for("1.30.0", values, tmp_path)
    advised = {**HARD, **values, "updateStrategy": {"maxUnavailable": 1}}
    assert warning not in notes_for("1.30.0", advised, tmp_path)
    deployment = rendered_for("1.30.0", advised, tmp_path).deployment
    assert roll(deployment, deployment, 3, 3).done


EACH, LOADS = 7, 2


def connections(deployment, replicas, **options):
    """The most there are in a rollout, in the model."""
    return roll(deployment, deployment, replicas, **options).most * EACH + LOADS


@pytest.mark.parametrize(("replicas", "seconds"), [(2, None), (6, None), (7, 12), (8, 15), (9, 23), (10, 45)])
def test_a_rollout_waits_as_long_as_the_connections_ask_for(replicas, seconds):
    deployment = render(replicaCount=replicas).deployment
    assert deployment.get("minReadySeconds") == seconds
    assert connections(deployment, replicas) <= 90
    # Longer is allowed, shorter is not.
    assert render(replicaCount=replicas, updateStrategy__minReadySeconds=60).deployment["minReadySeconds"] == 60
    assert render(replicaCount=replicas, updateStrategy__minReadySeconds=1).deployment["minReadySeconds"] == (seconds or 1)
    if seconds:
        assert connections({**deployment, "minReadySeconds": 1}, replicas) > 90


SIZES = [(replicas, surge, unavailable) for replicas in (1, 2, 5, 8, 11) for surge in (1, 2, 20) for unavailable in (0, 2)]


@pytest.mark.parametrize("allowed", [30, 60, 90])
@pytest.mark.parametrize("grace", [35, 100])
def test_a_rollout_fits_or_is_refused(allowed, grace):
    """What is rendered never opens too many connections, and what is refused would."""
    rendered = refused = 0
    usual = render().deployment
    usual["template"]["spec"]["terminationGracePeriodSeconds"] = usual["minReadySeconds"] = grace
    for replicas, surge, unavailable in SIZES:
        strategy = {"maxSurge": surge, "maxUnavailable": unavailable}
        values = {"replicaCount": replicas, "updateStrategy": strategy, "shutdown": {"gracePeriodSeconds": grace}, "database": {"maxConnections": allowed + 10}}
        # To wait for the end of each pod before the next one is as careful as a rollout can be.
        needed = connections({**usual, "strategy": {"rollingUpdate": strategy}}, replicas)
        if needed > allowed:
            assert "connections" in refusal(values), values
            refused += 1
        # With maxUnavailable the sum is a little larger than what there is.
        elif needed + unavailable * EACH <= allowed:
            deployment = render(values).deployment
            for starting in (0, 3):
                assert connections(deployment, replicas, starting=starting) <= allowed, values
            rendered += 1
    assert rendered >= 6
    assert refused >= 2


def test_the_rollout_that_was_measured():
    """Eleven pods that started in four seconds and ended in twelve were fourteen at a time: two more than were counted."""
    deployment = render(replicaCount=11, database__maxConnections=1000).deployment
    assert roll(deployment, deployment, 11, starting=4, ending=12).most in (14, 15)
    assert "13 pods" in refusal(replicaCount=11)


@pytest.mark.parametrize(("values", "replicas"), [
    ({"autoscaling": {"enabled": True}}, 10), ({"autoscaling": {"enabled": True, "minReplicas": 7, "maxReplicas": 7}, "replicaCount": 1}, 7), ({"autoscaling": {"maxReplicas": 100}, "replicaCount": 3}, 3),
])
def test_the_most_pods_count(values, replicas):
    assert connections(render(values).deployment, replicas) <= 90
