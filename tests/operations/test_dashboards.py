"""The dashboards: made from their code, and every query answered by what a live API says of itself."""

from __future__ import annotations

import filecmp
import json
import re
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import promql_parser
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from shop import ORDER, REPOSITORY, Api, ask, program, wait_until

GRAFANA = REPOSITORY / "deploy/monitoring/grafana"
# Where the chart and docker-compose.yml take them from.
MADE = REPOSITORY / "helm/order-food/files/dashboards"
KUBERNETES_METRICS = Path(__file__).with_name("kubernetes_metrics.txt")
DASHBOARDS = {file.stem: json.loads(file.read_text()) for file in sorted(MADE.glob("*.json"))}
PANELS = [(name, panel) for name, board in DASHBOARDS.items() for panel in board["panels"] if panel["type"] != "row"]
# What Grafana puts in the place of its variables.
VALUES = {
    **{"__rate_interval": "10s", "__range": "10s", "job": ".*", "instance": ".*", "namespace": ".*", "deployment": ".*"},
    **{"availability": "99.9", "latency": "99"},
}

each_dashboard = pytest.mark.parametrize("name", DASHBOARDS)


def filled_in(expression: str) -> str:
    """The query as Prometheus gets it."""
    return re.sub(r"\$(\w+)|\$\{(\w+)\}", lambda found: VALUES[found[1] or found[2]], expression)


def queries(dashboard: str) -> list[str]:
    """What a dashboard asks Prometheus."""
    panels = [panel for name, panel in PANELS if name == dashboard]
    return [filled_in(target["expr"]) for panel in panels for target in panel["targets"]]


def metrics(expression: str) -> set[str]:
    """The names in a query."""
    found: set[str] = set()

    def visit(node: object) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.add(node.name)
        for part in ("expr", "lhs", "rhs", "param", "vector_selector", "vs"):
            visit(child) if (child := getattr(node, part, None)) is not None else None
        for argument in getattr(node, "args", None) or ():
            visit(argument)

    visit(promql_parser.parse(expression))
    return found


def is_of_kubernetes(expression: str) -> bool:
    """Whether something other than the API answers it."""
    return any(name.startswith(("kube_", "kubelet_", "container_")) for name in metrics(expression))


ALL = [(name, query) for name in DASHBOARDS for query in queries(name)]


@pytest.fixture(scope="module")
def busy(api: Api) -> Api:
    """The API after a bit of everything."""
    admin = program("order-food", "keys", "create", "--client", "chaos", "--scopes", "admin", DATABASE_URL=api.database_url).split()[-1]
    wait_until(lambda: ask(f"{api.url}/panic", X_API_Key=admin).status == 500, 10, "the new key is known")
    drive(api)
    return api


def drive(api: Api) -> None:
    """One round of traffic: orders, refusals, reads."""
    for code in (None, "SAVE10", "NOSUCHCODE"):
        api.order(f"{code}-{time.monotonic_ns()}", {**ORDER, "couponCode": code})
    first = api.order("the-same")
    assert api.order("the-same").body == first.body
    ask(f"{api.url}/api/product")
    ask(f"{api.url}/api/order", X_API_Key="apitest")
    ask(f"{api.url}/api/order/quote", ORDER)


@pytest.fixture(scope="module")
def live(busy: Api) -> set[str]:
    """Names of the metrics in a scrape."""
    text = ask(f"{busy.url}/metrics").body.decode()
    return set(re.findall(r"^([a-zA-Z_:][\w:]*)(?:\{.*\})? \S+$", text, re.M))


@pytest.fixture(scope="module")
def prometheus(busy: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that has scraped the API under traffic."""
    folder = tmp_path_factory.mktemp("prometheus")
    scrape = {"job_name": "order-food", "static_configs": [{"targets": [busy.url.removeprefix("http://")]}]}
    (folder / "prometheus.yml").write_text(json.dumps({"global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"}, "scrape_configs": [scrape]}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % free.getsockname()[1]
    with (folder / "log").open("w") as log:
        arguments = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address={address}"]
        process = subprocess.Popen(["prometheus", *arguments], stdout=log, stderr=log)
    url = f"http://{address}"

    def scraped_often() -> bool:
        drive(busy)
        return bool(asked(url, "count_over_time(up[1m]) >= 6"))

    def ready() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            return ask(f"{url}/-/ready").status == 200
        except OSError:
            return False

    try:
        wait_until(ready, 30, "Prometheus is ready")
        wait_until(scraped_often, 30, "Prometheus has scraped the API")
        yield url
    finally:
        process.terminate()
        process.wait(20)


def asked(prometheus: str, query: str) -> list:
    """What Prometheus answers."""
    answer = ask(f"{prometheus}/api/v1/query?query={urllib.parse.quote(query)}")
    assert answer.status == 200, f"{query}: {answer.body.decode()}"
    return json.loads(answer.body)["data"]["result"]


def test_the_code_makes_what_is_committed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-B", GRAFANA / "generator", tmp_path], check=True)
    made = sorted(file.name for file in tmp_path.iterdir())
    assert made == sorted(file.name for file in MADE.iterdir()) and len(made) == 6
    _, different, missing = filecmp.cmpfiles(tmp_path, MADE, made, shallow=False)
    assert not different + missing, "run: python3 deploy/monitoring/grafana/generator"


def lost(written: object, understood: object, path: str = "") -> list[str]:
    """What is in the one and not in the other."""
    if isinstance(written, dict):
        kept = understood if isinstance(understood, dict) else {}
        return [each for key, value in written.items() for each in (lost(value, kept[key], f"{path}/{key}") if key in kept else [f"{path}/{key}"])]
    if isinstance(written, list):
        return [each for first, second in zip(written, understood, strict=True) for each in lost(first, second, path)]
    return [] if written == understood else [path]


@each_dashboard
def test_grafana_knows_every_member(name: str) -> None:
    """Through the model that Grafana publishes, and back."""
    register_default_plugins()
    understood = Dashboard.from_json(json.loads((MADE / f"{name}.json").read_text()))
    assert lost(DASHBOARDS[name], json.loads(json.dumps(understood, cls=JSONEncoder))) == []
    wrong = json.loads((MADE / f"{name}.json").read_text())
    wrong["panels"][0]["fieldConfigs"] = {}
    assert lost(wrong, json.loads(json.dumps(Dashboard.from_json(wrong), cls=JSONEncoder))) == ["/panels/fieldConfigs"]


@each_dashboard
def test_promtool_accepts_every_query(name: str, tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries(name))]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": name, "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", tmp_path / "rules.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"SUCCESS: {len(rules)} rules found" in done.stdout


def test_every_metric_exists(live: set[str]) -> None:
    """In a live scrape, or, of other programs, in their documentation."""
    documented = {line for line in KUBERNETES_METRICS.read_text().splitlines() if line and not line.startswith("#")}
    backed = [(name, query) for name, query in ALL if metrics(query) <= (documented if is_of_kubernetes(query) else live)]
    assert [each for each in ALL if each not in backed] == []
    assert {name for name, query in ALL if is_of_kubernetes(query)} == {"loads", "kubernetes"}
    assert not metrics("rate(no_such_metric_total[1m]) / sum(another_one)") & live, "the names are not looked at"
    unused = documented - {name for _, query in ALL for name in metrics(query)}
    assert not unused, "listed and not asked for"


def test_every_metric_of_the_api_is_on_a_dashboard(live: set[str]) -> None:
    shown = {re.sub("_(bucket|sum|count)$", "", name) for _, query in ALL for name in metrics(query)}
    known = {re.sub("_(bucket|sum|count)$", "", name) for name in live}
    assert known - shown == {"process_start_time_seconds", "process_virtual_memory_bytes", "process_virtual_memory_max_bytes"}


def test_prometheus_answers_every_query_of_the_api(prometheus: str) -> None:
    """Not with an empty vector: a label that is not there would be one."""
    silent = []
    for query in {query for _, query in ALL if not is_of_kubernetes(query)}:
        # Only a fault, or a request at this very moment, has such series; without the condition there are some.
        asks = query.replace('error_type!=""', 'error_type=~".*"').replace(" > 0", "")
        if not asked(prometheus, asks):
            silent.append(query)
    assert silent == []
    assert not asked(prometheus, 'sum by (instance) (ready{route="/api/order"})')


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=lambda value: value if isinstance(value, str) else value["title"])
def test_panels_explain_themselves(name: str, panel: dict) -> None:
    assert panel["title"] and panel["description"].endswith((".", "%.", "limit."))
    assert panel["targets"] and panel["fieldConfig"]["defaults"]["unit"]


@each_dashboard
def test_panels_do_not_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARDS[name]["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells


def test_panels_link_to_the_traces_of_an_operation() -> None:
    """Services and operations are those that docs/telemetry.md lists."""
    documentation = (REPOSITORY / "docs/telemetry.md").read_text()
    followed = set()
    for name, panel in PANELS:
        for link in panel["fieldConfig"]["defaults"]["links"]:
            url = urllib.parse.urlsplit(link["url"])
            assert url.path == "${jaeger:raw}/search"
            asks = {key: value for key, _, value in (each.partition("=") for each in url.query.split("&"))}
            service, operation = asks["service"], urllib.parse.unquote(asks.get("operation", ""))
            assert f"`{service}`" in documentation
            if labels := re.findall(r"\$\{__field\.labels\.(\w+):percentencode\}", operation):
                assert all(label in target["expr"] for label in labels for target in panel["targets"])
            elif operation:
                known = (f"`{operation}`", f"e.g. `{operation}`", f"`{operation}`, ")
                assert any(each in documentation for each in known) or operation == "SELECT change_counters", operation
            if "tags" in asks:
                assert json.loads(urllib.parse.unquote(asks["tags"])) == {"error": "true"}
            assert asks["start"] == "${__from}000" and asks["end"] == "${__to}000", "Jaeger counts in microseconds"
            followed.add((name, service))
    assert {name for name, _ in followed} == set(DASHBOARDS)
    assert {service for _, service in followed} == {"order-food", "database-migration", "database-load"}


@each_dashboard
def test_variables_are_those_that_queries_use(name: str) -> None:
    board = DASHBOARDS[name]
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"]))) - {"__rate_interval", "__range", "__field", "__from", "__to"}
    assert used <= {variable["name"] for variable in board["templating"]["list"]}


@each_dashboard
def test_shops_are_not_added_up(name: str) -> None:
    """One namespace is shown, which a shop is in; every query of its own series asks for it."""
    offered = {variable["name"]: variable for variable in DASHBOARDS[name]["templating"]["list"]}
    assert offered["namespace"]["type"] == "query" and "multi" not in offered["namespace"]
    assert re.match(r'label_values\((orders_placed_total|kube_deployment_spec_replicas\{deployment=~".*order-food.*"\}), namespace\)', offered["namespace"]["query"]["query"])
    for other in set(offered) & {"job", "instance", "deployment"}:
        assert 'namespace=~"$namespace"' in offered[other]["query"]["query"]
    for panel in [panel for board, panel in PANELS if board == name]:
        for target in panel["targets"]:
            # A node is nobody's.
            series = [labels for metric, labels in re.findall(r"(\w+)\{([^}]*)\}", target["expr"]) if not metric.startswith("kube_node_")]
            assert all('namespace=~"$namespace"' in labels for labels in series), target["expr"]


def test_grafana_finds_sources_and_dashboards() -> None:
    sources = yaml.safe_load((GRAFANA / "provisioning/datasources/datasources.yaml").read_text())["datasources"]
    assert {(source["name"], source["type"], source["uid"]) for source in sources} == {("Prometheus", "prometheus", "prometheus"), ("Jaeger", "jaeger", "jaeger")}
    [provider] = yaml.safe_load((GRAFANA / "provisioning/dashboards/dashboards.yaml").read_text())["providers"]
    assert provider["type"] == "file" and provider["options"]["path"] == "/var/lib/grafana/dashboards"
    assert len({board["uid"] for board in DASHBOARDS.values()}) == len(DASHBOARDS)
