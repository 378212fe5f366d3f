"""The pod security standard "restricted", over a pod's spec."""

from __future__ import annotations

from collections.abc import Iterator

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SYSCTLS = {"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
           "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range"}


def violations(pod: dict) -> Iterator[str]:
    """Everything for which a namespace that enforces "restricted" would refuse the pod."""
    context = pod.get("securityContext", {})
    yield from (f"{field} is set" for field in ("hostNetwork", "hostPID", "hostIPC") if pod.get(field))
    for volume in pod.get("volumes", []):
        yield from (f"volume {volume['name']} is a {kind}" for kind in volume.keys() - {"name"} - VOLUMES)
    yield from (f"sysctl {s['name']}" for s in context.get("sysctls", []) if s["name"] not in SYSCTLS)
    for container in pod.get("initContainers", []) + pod["containers"]:
        name, own = container["name"], container.get("securityContext", {})

        def effective(field: str, own: dict = own) -> object:
            return own.get(field, context.get(field))

        if own.get("privileged"):
            yield f"{name} is privileged"
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{name} may escalate its privileges"
        if own.get("capabilities", {}).get("drop") != ["ALL"]:
            yield f"{name} keeps capabilities"
        if set(own.get("capabilities", {}).get("add", [])) - {"NET_BIND_SERVICE"}:
            yield f"{name} adds capabilities"
        if effective("runAsNonRoot") is not True:
            yield f"{name} may run as root"
        if effective("runAsUser") == 0:
            yield f"{name} runs as root"
        if (effective("seccompProfile") or {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield f"{name} has no seccomp profile"
        if own.get("procMount", "Default") != "Default":
            yield f"{name} unmasks /proc"
        if (effective("seLinuxOptions") or {}).get("user") or (effective("seLinuxOptions") or {}).get("role"):
            yield f"{name} sets SELinux options"
        yield from (f"{name} has a host port" for port in container.get("ports", []) if port.get("hostPort"))
