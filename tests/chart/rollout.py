"""A model of a rolling update: Kubernetes' Deployment controller, scheduler and kubelets, as far as pods wait for each other.

Times are seconds. The rules are those of pkg/controller/deployment/rolling.go and of the scheduler's plugins
InterPodAffinity and PodTopologySpread; preferences are left out, as they make no pod wait.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(eq=False)
class Pod:
    """A pod, and when what happened to it."""

    template: dict
    labels: dict
    node: str | None = None
    started: int | None = None
    deleted: int | None = None


@dataclass
class Outcome:
    """What came of a rollout."""

    done: bool
    # Pods at a time that have a node, those that end included.
    most: int
    seconds: int
    placed: list[str] = field(default_factory=list)


def created(template: dict, revision: str) -> Pod:
    """A pod as the ReplicaSet of a revision makes it."""
    return Pod(template["spec"], {**template["metadata"]["labels"], "pod-template-hash": revision})


def matches(selecting: Pod, term: dict, other: Pod) -> bool:
    """Whether a term's labels, and the values that its pod has of matchLabelKeys, are those of another pod."""
    wanted = {**term["labelSelector"]["matchLabels"], **{key: selecting.labels[key] for key in term.get("matchLabelKeys", [])}}
    return wanted.items() <= other.labels.items()


def avoided(pod: Pod) -> list[dict]:
    """The terms that a pod insists on."""
    return pod.template.get("affinity", {}).get("podAntiAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", [])


def fits(pod: Pod, node: str, nodes: dict[str, dict], pods: list[Pod]) -> bool:
    """Whether a node may have a pod. Pods that end count until they are gone."""
    for other in (each for each in pods if each.node):
        # Both ways: a pod that is there need not accept a new one, either.
        for one, term, another in [(pod, t, other) for t in avoided(pod)] + [(other, t, pod) for t in avoided(other)]:
            if nodes[node].get(term["topologyKey"]) == nodes[other.node].get(term["topologyKey"]) and matches(one, term, another):
                return False
    for constraint in pod.template.get("topologySpreadConstraints", []):
        if constraint["whenUnsatisfiable"] == "DoNotSchedule":
            key = constraint["topologyKey"]
            count = {labels[key]: 0 for labels in nodes.values()}
            for other in pods:
                if other.node and other.deleted is None and matches(pod, constraint, other):
                    count[nodes[other.node][key]] += 1
            if count[nodes[node][key]] + 1 - min(count.values()) > constraint["maxSkew"]:
                return False
    return True


def place(pod: Pod, nodes: dict[str, dict], pods: list[Pod]) -> None:
    """Gives a pod the emptiest node that it may have, if there is one."""
    possible = [name for name in nodes if fits(pod, name, nodes, pods)]
    if possible:
        pod.node = min(possible, key=lambda name: sum(other.node == name for other in pods))


def roll(old: dict, new: dict, replicas: int, nodes: int = 50, starting: int = 0, ending: int | None = None) -> Outcome:
    """Rolls out a Deployment's new spec over its old one. A pod is ready some seconds after it has a node, and takes its
    whole grace period to end, unless told otherwise."""
    grace = old["template"]["spec"]["terminationGracePeriodSeconds"] if ending is None else ending
    places = {f"node-{n}": {"kubernetes.io/hostname": f"node-{n}", "topology.kubernetes.io/zone": f"zone-{n % 3}"} for n in range(nodes)}
    rule = new["strategy"]["rollingUpdate"]
    surge, unavailable, pause = rule["maxSurge"], rule["maxUnavailable"], new.get("minReadySeconds", 0)
    pods: list[Pod] = []
    for _ in range(replicas):
        pod = created(old["template"], "old")
        place(pod, places, pods)
        assert pod.node, "not even the first install"
        pod.started = -10**6
        pods.append(pod)
    most = replicas

    def living(revision: str) -> list[Pod]:
        return [p for p in pods if p.deleted is None and p.labels["pod-template-hash"] == revision]

    def is_available(pod: Pod) -> bool:
        return pod.started is not None and now >= pod.started + starting + pause

    now = 0
    while True:
        pods = [p for p in pods if p.deleted is None or now < p.deleted + grace]
        while True:
            for pod in pods:
                if pod.node is None:
                    place(pod, places, pods)
                    pod.started = now if pod.node else None
            most = max(most, sum(p.node is not None for p in pods))

            fresh, stale = living("new"), living("old")
            changed = False
            while len(fresh) < replicas and len(fresh) + len(stale) < replicas + surge:
                pods.append(created(new["template"], "new"))
                fresh, changed = living("new"), True
            available = sum(map(is_available, fresh + stale))
            budget = len(fresh) + len(stale) - (replicas - unavailable) - sum(not is_available(p) for p in fresh)
            for pod in stale[:max(0, min(budget, available - (replicas - unavailable)))]:
                pod.deleted, changed = now, True
            if not changed:
                break
        if len(fresh) == replicas and not stale and all(map(is_available, fresh)):
            return Outcome(True, most, now, sorted(p.node for p in fresh))
        # The next time that something happens by itself.
        later = [p.deleted + grace for p in pods if p.deleted is not None] + [p.started + starting + pause for p in fresh if p.started is not None]
        later = [time for time in later if time > now]
        if not later:
            return Outcome(False, most, now)
        now = min(later)
