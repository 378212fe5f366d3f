"""The cluster: pods, their resources, and what stands in the way of them."""

from panels import NAMESPACE, choice, dashboard, graph, row, stat, traces

DEPLOYMENT = f'{NAMESPACE},deployment=~"$deployment"'
PODS = f'{NAMESPACE},pod=~"($deployment)-.*"'
# Of a pod, cAdvisor also counts its sandbox, and the sum.
CONTAINERS = f'{PODS},container!="",container!="POD"'
# Of a whole cluster the first namespace would be anybody's. The chart puts in the release's name.
RELEASE = 'deployment=~".*order-food.*"'
VARIABLES = (
    choice("namespace", f"label_values(kube_deployment_spec_replicas{{{RELEASE}}}, namespace)", "Namespace", several=False),
    choice("deployment", f"label_values(kube_deployment_spec_replicas{{{NAMESPACE},{RELEASE}}}, deployment)", "Deployment", several=False),
)


def resource(kind: str, name: str) -> str:
    """Requests or limits of the API's pods."""
    return f'sum by (pod) (kube_pod_container_resource_{kind}{{{PODS},resource="{name}"}})'


def build() -> dict:
    """The dashboard."""
    return dashboard(
        "kubernetes",
        "Kubernetes",
        "Pods of the release and what they need. From kube-state-metrics, cAdvisor and the kubelet.",
        [
            stat("Available", "Pods that can serve.", f"sum(kube_deployment_status_replicas_available{{{DEPLOYMENT}}})"),
            stat("Missing", "Pods that are wanted and cannot serve.", f"sum(kube_deployment_status_replicas_unavailable{{{DEPLOYMENT}}})", thresholds=((1, "red"),)),
            stat("Restarts", "Of containers in the time shown.", f"sum(increase(kube_pod_container_status_restarts_total{{{PODS}}}[$__range]))", decimals=0, thresholds=((1, "orange"),)),
            stat("May be evicted", "Pods that the PodDisruptionBudget lets go now; at 0 a drain waits.", f"min(kube_poddisruptionbudget_status_pod_disruptions_allowed{{{NAMESPACE}}})"),
            stat("Nodes not ready", "Of the cluster.", 'sum(kube_node_status_condition{condition="Ready",status!="true"})', thresholds=((1, "red"),)),
            stat("Volumes pending", "Claims in the namespace.", f'sum(kube_persistentvolumeclaim_status_phase{{{NAMESPACE},phase="Pending"}})', thresholds=((1, "red"),)),
            row("Pods"),
            graph(
                "Replicas", "A rollout replaces pods one by one, after the new one is ready.",
                {name: f"sum(kube_deployment_{metric}{{{DEPLOYMENT}}})" for name, metric in (("wanted", "spec_replicas"), ("ready", "status_replicas_ready"), ("of the newest version", "status_replicas_updated"))},
            ),
            graph("Phases", "Of the pods.", {"{{phase}}": f"sum by (phase) (kube_pod_status_phase{{{PODS}}})"}, stacked=True),
            graph("Restarts", "Of containers.", {"{{pod}} {{container}}": f"increase(kube_pod_container_status_restarts_total{{{PODS}}}[$__rate_interval])"}, links=(traces("order-food"),)),
            graph("Waiting", "Containers that cannot start, by reason.", {"{{pod}} {{container}} {{reason}}": f"kube_pod_container_status_waiting_reason{{{PODS}}} > 0"}),
            graph("Ended by", "Why containers ended last: OOMKilled is a limit of memory that is too low, or a leak.", {"{{pod}} {{container}} {{reason}}": f"kube_pod_container_status_last_terminated_reason{{{PODS}}} > 0"}),
            graph(
                "Autoscaling", "At the maximum it can do no more.",
                {name: f"kube_horizontalpodautoscaler_{metric}{{{NAMESPACE}}}" for name, metric in (("has", "status_current_replicas"), ("wants", "status_desired_replicas"), ("at most", "spec_max_replicas"))},
            ),
            row("Resources"),
            graph("CPU", "Cores used, and asked for.", {"{{pod}}": f"sum by (pod) (rate(container_cpu_usage_seconds_total{{{CONTAINERS}}}[$__rate_interval]))", "{{pod}} request": resource("requests", "cpu")}),
            graph("Throttled", "Share of periods in which a pod had to wait because of its CPU limit; without a limit there is none.", {"{{pod}}": f"sum by (pod) (rate(container_cpu_cfs_throttled_periods_total{{{CONTAINERS}}}[$__rate_interval])) / sum by (pod) (rate(container_cpu_cfs_periods_total{{{CONTAINERS}}}[$__rate_interval]))"}, unit="percentunit"),
            graph("Memory", "Working set, which the kernel compares with the limit.", {"{{pod}}": f"sum by (pod) (container_memory_working_set_bytes{{{CONTAINERS}}})", "{{pod}} limit": resource("limits", "memory")}, unit="bytes"),
            graph("Network", "Received, and sent.", {"{{pod}} in": f"sum by (pod) (rate(container_network_receive_bytes_total{{{PODS}}}[$__rate_interval]))", "{{pod}} out": f"sum by (pod) (rate(container_network_transmit_bytes_total{{{PODS}}}[$__rate_interval]))"}, unit="Bps"),
            graph("Volumes", "Share in use.", {"{{persistentvolumeclaim}}": f"kubelet_volume_stats_used_bytes{{{NAMESPACE}}} / kubelet_volume_stats_capacity_bytes{{{NAMESPACE}}}"}, unit="percentunit"),
            graph("Nodes in trouble", "Conditions that keep pods away.", {"{{node}} {{condition}}": 'kube_node_status_condition{condition=~"MemoryPressure|DiskPressure|PIDPressure",status="true"} > 0', "{{node}} not ready": 'kube_node_status_condition{condition="Ready",status!="true"} > 0'}),
        ],
        VARIABLES,
    )
