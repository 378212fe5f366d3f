"""A Kubernetes API server as far as helm and kubectl need one to install, upgrade, roll back, test and uninstall.

Objects live in memory. What a real server refuses about our objects is refused too: what its schema does not know, a
name that occurs twice in a list, a change of what cannot be changed. No controllers: nothing is scheduled or run; a Job
is complete at once, and so is a pod.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import yaml

import kinds

# Group and version, resource, kind.
RESOURCES = [
    ("v1", "configmaps", "ConfigMap"),
    ("v1", "namespaces", "Namespace"),
    ("v1", "nodes", "Node"),
    ("v1", "pods", "Pod"),
    ("v1", "secrets", "Secret"),
    ("v1", "serviceaccounts", "ServiceAccount"),
    ("v1", "services", "Service"),
    ("apps/v1", "deployments", "Deployment"),
    ("apps/v1", "statefulsets", "StatefulSet"),
    ("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    ("batch/v1", "cronjobs", "CronJob"),
    ("batch/v1", "jobs", "Job"),
    ("gateway.networking.k8s.io/v1", "httproutes", "HTTPRoute"),
    ("monitoring.coreos.com/v1", "prometheusrules", "PrometheusRule"),
    ("monitoring.coreos.com/v1", "servicemonitors", "ServiceMonitor"),
    ("networking.k8s.io/v1", "ingresses", "Ingress"),
    ("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy"),
    ("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget"),
]
KINDS = {(api, resource): kind for api, resource, kind in RESOURCES}

# What an update may change of a kind's spec; of other kinds everything.
MUTABLE = {
    "StatefulSet": {"replicas", "template", "updateStrategy", "persistentVolumeClaimRetentionPolicy", "minReadySeconds", "ordinals", "revisionHistoryLimit"},
    "Job": {"suspend", "parallelism", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "backoffLimit"},
}
# What identifies an entry of a list; each may occur once.
LIST_KEYS = {
    "containers": ("name",), "initContainers": ("name",), "env": ("name",), "volumes": ("name",),
    "volumeMounts": ("mountPath",), "ports": ("name", "port", "containerPort", "protocol"), "imagePullSecrets": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}


class Refused(Exception):
    """Why a request is not granted."""

    def __init__(self, code: int, reason: str, message: str):
        super().__init__(message)
        self.code, self.reason = code, reason


def repeated(node: object, path: str = "") -> Iterator[str]:
    """Entries of lists that a server tells apart by a key, and cannot."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in LIST_KEYS and isinstance(value, list):
                seen = [tuple(entry.get(part) for part in LIST_KEYS[key]) for entry in value if isinstance(entry, dict)]
                yield from (f"{path}.{key}: {entry} occurs twice" for entry in {e for e in seen if seen.count(e) > 1})
            yield from repeated(value, f"{path}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from repeated(value, f"{path}[{index}]")


def merged(old: object, new: object) -> object:
    """A strategic merge patch, as far as clients send it for our objects."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    result = dict(old)
    for key, value in new.items():
        if key.startswith("$"):
            continue
        if value is None:
            result.pop(key, None)
        elif isinstance(value, list) and key in LIST_KEYS and isinstance(old.get(key), list):
            names = LIST_KEYS[key]
            entries = {tuple(e.get(n) for n in names): e for e in old[key]}
            for entry in value:
                identity = tuple(entry.get(n) for n in names)
                if entry.get("$patch") == "delete":
                    entries.pop(identity, None)
                else:
                    entries[identity] = merged(entries.get(identity, {}), entry)
            result[key] = list(entries.values())
        else:
            result[key] = merged(old.get(key), value)
    return result


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a protobuf message that have bytes."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = varint()
        if tag & 7 == 0:
            varint()
        else:
            length = varint()
            yield tag >> 3, message[at:at + length]
            at += length


def secret_from_protobuf(body: bytes) -> dict:
    """Helm stores its releases in Secrets, and sends those in protobuf (k8s.io/api/core/v1/generated.proto)."""
    def pair(entry: bytes) -> tuple[str, bytes]:
        parts = dict(fields(entry))
        return parts.get(1, b"").decode(), parts.get(2, b"")

    envelope = dict(fields(body[4:]))
    kind = dict(fields(envelope[1])).get(2)
    if kind != b"Secret":
        raise Refused(415, "UnsupportedMediaType", f"the stub reads protobuf of Secrets only, not of {kind}")
    raw = envelope[2]
    secret: dict = {"apiVersion": "v1", "kind": "Secret", "metadata": {"labels": {}}, "data": {}}
    for number, value in fields(raw):
        if number == 1:
            for part, text in fields(value):
                if part in (1, 3):
                    secret["metadata"][{1: "name", 3: "namespace"}[part]] = text.decode()
                elif part == 11:
                    name, label = pair(text)
                    secret["metadata"]["labels"][name] = label.decode()
        elif number == 2:
            name, content = pair(value)
            secret["data"][name] = base64.b64encode(content).decode()
        elif number == 3:
            secret["type"] = value.decode()
    return secret


class Store:
    """The objects, and what is done with them."""

    def __init__(self, minor: str):
        self.minor = minor
        self.objects: dict[tuple[str, str, str, str], dict] = {}
        self.version = 0
        self.lock = threading.RLock()

    def find(self, kind: str) -> list[dict]:
        """Objects of a kind."""
        return [o for o in self.objects.values() if o["kind"] == kind]

    def start_pods(self) -> None:
        """One pod of each object that makes pods, which no controller does here."""
        for owner in list(self.objects.values()):
            spec = owner.get("spec") or {}
            spec = spec["jobTemplate"]["spec"] if owner["kind"] == "CronJob" else spec
            if "template" in spec:
                name, namespace = f"{owner['metadata']['name']}-0", owner["metadata"]["namespace"]
                labels = dict(spec["template"]["metadata"]["labels"])
                pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": spec["template"]["spec"]}
                self.put(("v1", "Pod", namespace, name), pod)

    def check(self, new: dict, old: dict | None) -> None:
        """Refuses what a server would refuse."""
        faults = [*kinds.faults(new, self.minor), *repeated(new.get("spec", {}), "spec")]
        if faults:
            raise Refused(422, "Invalid", f"{new['kind']} {new['metadata']['name']}: {'; '.join(faults)}")
        if old is None:
            return
        kind, before, after = new["kind"], old.get("spec") or {}, new.get("spec") or {}
        if kind == "Deployment" and before["selector"] != after["selector"]:
            raise Refused(422, "Invalid", "spec.selector: field is immutable")
        if kind in MUTABLE:
            changed = {field for field in {*before, *after} if before.get(field) != after.get(field)} - MUTABLE[kind]
            if changed:
                raise Refused(422, "Invalid", f"{kind} spec.{sorted(changed)}: field is immutable")

    def put(self, key: tuple[str, str, str, str], new: dict) -> dict:
        """Stores an object as it is sent."""
        old = self.objects.get(key)
        self.check(new, old)
        self.version += 1
        metadata = new.setdefault("metadata", {})
        metadata["resourceVersion"] = str(self.version)
        metadata["uid"] = (old or {}).get("metadata", {}).get("uid", str(uuid.uuid4()))
        metadata.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        if new["kind"] == "Pod":
            new["status"] = {"phase": "Succeeded"}
        if new["kind"] == "Job":
            new["status"] = {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}
        self.objects[key] = new
        return new


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    # Head and body in one piece: the second would wait until the first is acknowledged.
    wbufsize = -1
    server: Stub

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, code: int, body: dict) -> None:
        payload = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def status(self, code: int, reason: str, message: str) -> None:
        self.answer(code, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "code": code, "reason": reason,
                           "status": "Success" if code < 400 else "Failure", "message": message})

    def handle_request(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        try:
            if url.path in ("/version", "/api", "/apis") or url.path.startswith("/openapi") or self.discovery(url.path):
                self.answer(200, self.description(url.path))
            else:
                self.work(url.path, query, body)
        except Refused as refused:
            self.status(refused.code, refused.reason, str(refused))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request

    def discovery(self, path: str) -> str | None:
        """The group and version that a path asks the resources of."""
        name = path.removeprefix("/apis/").removeprefix("/api/")
        return name if any(api == name for api, *_ in RESOURCES) else None

    def description(self, path: str) -> dict:
        groups = sorted({api for api, *_ in RESOURCES if "/" in api})
        if path == "/version":
            minor = self.server.store.minor.split(".")[1]
            return {"major": "1", "minor": minor, "gitVersion": f"v1.{minor}.0"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            versions = [(g, {"groupVersion": g, "version": g.split("/")[1]}) for g in groups]
            return {"kind": "APIGroupList", "apiVersion": "v1",
                    "groups": [{"name": g.split("/")[0], "versions": [v], "preferredVersion": v} for g, v in versions]}
        if path == "/openapi/v3":
            urls = {("apis/" if "/" in api else "api/") + api for api, *_ in RESOURCES}
            return {"paths": {url: {"serverRelativeURL": f"/openapi/v3/{url}"} for url in urls}}
        if path.startswith("/openapi/v3/"):
            return self.openapi(path.removeprefix("/openapi/v3/"))
        if path.startswith("/openapi"):
            raise Refused(404, "NotFound", "no such description")
        api = self.discovery(path)
        verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api,
                "resources": [{"name": r, "singularName": k.lower(), "namespaced": k not in ("Namespace", "Node"), "kind": k, "verbs": verbs}
                              for a, r, k in RESOURCES if a == api]}

    def openapi(self, path: str) -> dict:
        """That the server checks fields itself: clients then leave it to the server."""
        api = path.removeprefix("apis/").removeprefix("api/")
        group, version = ("", api) if "/" not in api else api.split("/")
        paths = {}
        for _, resource, kind in (r for r in RESOURCES if r[0] == api):
            gvk = {"group": group, "version": version, "kind": kind}
            parameter = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
            operation = {"x-kubernetes-group-version-kind": gvk, "parameters": [parameter], "responses": {}}
            paths[f"/{path}/namespaces/{{namespace}}/{resource}/{{name}}"] = {"patch": operation}
        return {"openapi": "3.0.0", "info": {"title": "stub", "version": "1"}, "paths": paths}

    def work(self, path: str, query: dict, body: bytes) -> None:
        parts = path.strip("/").split("/")
        api, rest = ("v1", parts[2:]) if parts[0] == "api" else ("/".join(parts[1:3]), parts[3:])
        namespace = ""
        if len(rest) > 2 and rest[0] == "namespaces":
            namespace, rest = rest[1], rest[2:]
        kind = KINDS.get((api, rest[0]))
        if kind is None:
            raise Refused(404, "NotFound", f"the server could not find the requested resource {path}")
        name = rest[1] if len(rest) > 1 else ""
        if rest[2:] == ["log"]:
            return self.log(query.get("container"), api, kind, namespace, name)
        with self.server.store.lock:
            watched = self.respond(api, kind, namespace, name, query, body)
        if watched is not None:
            self.watch(watched)

    def respond(self, api: str, kind: str, namespace: str, name: str, query: dict, body: bytes) -> list[dict] | None:
        """Answers, or returns what is to be watched."""
        store = self.server.store
        key = (api, kind, namespace, name)
        if self.command == "GET" and not name:
            wanted = dict(part.split("=", 1) for part in query.get("labelSelector", "").split(",") if "=" in part and "!" not in part)
            field = dict(part.split("=", 1) for part in query.get("fieldSelector", "").split(",") if "=" in part)
            items = [o for k, o in store.objects.items() if k[:2] == key[:2] and namespace in ("", k[2])
                     and wanted.items() <= o["metadata"].get("labels", {}).items()
                     and field.get("metadata.name", k[3]) == k[3]]
            if query.get("sendInitialEvents"):
                raise Refused(422, "Invalid", "sendInitialEvents is forbidden")
            if query.get("watch"):
                return items
            return self.answer(200, {"kind": f"{kind}List", "apiVersion": api, "metadata": {"resourceVersion": str(store.version)}, "items": items})
        if self.command == "POST":
            sent = self.decoded(body)
            key = (*key[:3], sent["metadata"]["name"])
            if key in store.objects:
                raise Refused(409, "AlreadyExists", f"{key[3]} already exists")
            return self.answer(201, store.put(key, sent))
        old = store.objects.get(key)
        if self.command == "PATCH" and "apply-patch" in self.headers["Content-Type"]:
            # One manager: what it does not send is gone.
            return self.answer(200 if old else 201, store.put(key, self.decoded(body)))
        if old is None:
            raise Refused(404, "NotFound", f'{kind} "{name}" not found')
        if self.command == "GET":
            return self.answer(200, old)
        if self.command == "PUT":
            return self.answer(200, store.put(key, self.decoded(body)))
        if self.command == "PATCH":
            return self.answer(200, store.put(key, merged(old, json.loads(body))))
        del store.objects[key]
        return self.status(200, "", "deleted")

    def log(self, container: str | None, *key: str) -> None:
        """What a container of a pod that is there has written."""
        pod = self.server.store.objects.get(key)
        if pod is None:
            raise Refused(404, "NotFound", f'pods "{key[3]}" not found')
        names = [each["name"] for each in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]]
        if container not in (None, *names):
            raise Refused(400, "BadRequest", f"container {container} is not valid for pod {key[3]}")
        payload = f"log of {key[3]}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def watch(self, items: list[dict]) -> None:
        """What there is, and then nothing: nothing changes by itself."""
        self.close_connection = True
        with contextlib.suppress(ConnectionError):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"".join(json.dumps({"type": "ADDED", "object": item}).encode() + b"\n" for item in items))
            self.wfile.flush()
            self.server.stopped.wait(30)

    def decoded(self, body: bytes) -> dict:
        if body.startswith(b"k8s\0"):
            return secret_from_protobuf(body)
        return yaml.load(body, yaml.CSafeLoader)


class Stub(ThreadingHTTPServer):
    """The server, on a free port of the loopback."""

    daemon_threads = True

    def __init__(self, minor: str = "1.30"):
        super().__init__(("127.0.0.1", 0), Handler)
        self.store = Store(minor)
        self.stopped = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Stub:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.shutdown()
        self.server_close()
