"""Panels, rows and dashboards in Grafana's JSON."""

from __future__ import annotations

from urllib.parse import quote

COLUMNS = 24
# Staging and production may share a Prometheus: nothing is added up over namespaces.
NAMESPACE = 'namespace=~"$namespace"'
# Label matchers of every query about the API.
API = f'{NAMESPACE},job=~"$job",instance=~"$instance"'
# Where browsers reach it on a laptop; the chart puts in its own.
JAEGER = "http://localhost:16686"
PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}


def rate(metric: str, labels: str = "", by: str = "") -> str:
    """How fast a counter grows."""
    return f"sum{by and f' by ({by})'} (rate({metric}{selector(labels)}[$__rate_interval]))"


def selector(labels: str = "") -> str:
    """Matchers of the API, and these."""
    return "{" + ",".join(filter(None, (API, labels))) + "}"


def total(metric: str, labels: str = "", by: str = "") -> str:
    """The sum of a gauge."""
    return f"sum{by and f' by ({by})'} ({metric}{selector(labels)})"


def aggregate(function: str, metric: str, labels: str = "") -> str:
    """A function of all series of a metric."""
    return f"{function}({metric}{selector(labels)})"


def quantile(q: float, histogram: str, labels: str = "", by: str = "") -> str:
    """A quantile, estimated from the buckets of a histogram."""
    return f"histogram_quantile({q}, {rate(f'{histogram}_bucket', labels, ', '.join(filter(None, ('le', by))))})"


def mean(histogram: str, labels: str = "") -> str:
    """The mean of what a histogram observed."""
    return f"{rate(f'{histogram}_sum', labels)} / {rate(f'{histogram}_count', labels)}"


def share(part: str, whole: str) -> str:
    """A ratio that is 0 where the part never happened."""
    return f"({part} or vector(0)) / {whole}"


def traces(service: str, operation: str = "", tags: str = "") -> dict:
    """A link to Jaeger's search for the time that is shown."""
    # What Grafana replaces stays as it is, in its encoded form.
    operation = operation if operation.startswith("${") else quote(operation, safe="")
    parameters = [f"service={service}", operation and f"operation={operation}", tags and f"tags={quote(tags, safe='')}"]
    window = ["lookback=custom", "start=${__from}000", "end=${__to}000", "limit=20"]
    return {
        "title": f"Traces of {service}",
        "url": "${jaeger:raw}/search?" + "&".join([*filter(None, parameters), *window]),
        "targetBlank": True,
    }


def panel(
    kind: str, title: str, description: str, queries: dict[str, str], *, unit: str = "short", width: int = 8, height: int = 8,
    links: tuple[dict, ...] = (), options: dict | None = None, custom: dict | None = None, thresholds: tuple[tuple[float, str], ...] = (), **defaults: object,
) -> dict:
    """A panel with one query for each legend."""
    steps = [{"color": "green", "value": None}, *({"color": color, "value": value} for value, color in thresholds)]
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": PROMETHEUS,
        "gridPos": {"w": width, "h": height},
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": PROMETHEUS,
                "expr": expression,
                "legendFormat": legend,
                "format": "heatmap" if kind == "heatmap" else "table" if kind == "table" else "time_series",
                **({"instant": True, "range": False} if kind in ("stat", "table", "gauge") else {}),
            }
            for number, (legend, expression) in enumerate(queries.items())
        ],
        "fieldConfig": {
            "defaults": {"unit": unit, "custom": custom or {}, "thresholds": {"mode": "absolute", "steps": steps}, "links": list(links), **defaults},
            "overrides": [],
        },
        "options": options or {},
    }


def graph(title: str, description: str, queries: dict[str, str], *, stacked: bool = False, **more: object) -> dict:
    """Lines over time."""
    custom = {"fillOpacity": 30 if stacked else 5, "showPoints": "never", "stacking": {"mode": "normal" if stacked else "none"}}
    options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
    return panel("timeseries", title, description, queries, custom=custom, options=options, min=0, **more)


def stat(title: str, description: str, expression: str, **more: object) -> dict:
    """One number, the newest."""
    options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "none", "textMode": "auto"}
    return panel("stat", title, description, {"": expression}, options=options, **{"width": 4, "height": 4, **more})


def heatmap(title: str, description: str, histogram: str, *, unit: str, **more: object) -> dict:
    """How often a histogram saw what, over time."""
    options = {"calculate": False, "yAxis": {"unit": unit}, "color": {"scheme": "Oranges", "mode": "scheme"}, "legend": {"show": True}}
    expression = f"sum by (le) (increase({histogram}_bucket{selector()}[$__rate_interval]))"
    return panel("heatmap", title, description, {"{{le}}": expression}, options=options, unit=unit, **more)


def row(title: str) -> dict:
    """A heading."""
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": COLUMNS, "h": 1}}


def choice(name: str, query: str, label: str, *, several: bool = True) -> dict:
    """A variable whose values are those of a label."""
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": PROMETHEUS,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        **({"multi": True, "includeAll": True, "allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}} if several else {}),
    }


def text(name: str, value: str, label: str) -> dict:
    """A variable that people type."""
    return {"type": "textbox", "name": name, "label": label, "query": value, "current": {"text": value, "value": value}, "options": []}


OF_THE_API = (
    choice("namespace", "label_values(orders_placed_total, namespace)", "Namespace", several=False),
    choice("job", f"label_values(orders_placed_total{{{NAMESPACE}}}, job)", "Job"),
    choice("instance", f'label_values(orders_placed_total{{{NAMESPACE},job=~"$job"}}, instance)', "Instance"),
)


def dashboard(uid: str, title: str, description: str, panels: list[dict], variables: tuple[dict, ...] = OF_THE_API, span: str = "1h") -> dict:
    """A dashboard, its panels placed from left to right and from top to bottom."""
    x = y = height = 0
    for number, each in enumerate(panels, start=1):
        place = each["gridPos"]
        if x + place["w"] > COLUMNS:
            x, y, height = 0, y + height, 0
        each["id"] = number
        each["gridPos"] = {"x": x, "y": y, **place}
        x, height = x + place["w"], max(height, place["h"])
    source = {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus", "current": {"text": "Prometheus", "value": "prometheus"}}
    return {
        "uid": f"order-food-{uid}",
        "title": f"order-food / {title}",
        "description": description,
        "tags": ["order-food"],
        "schemaVersion": 41,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": f"now-{span}", "to": "now"},
        "timezone": "utc",
        "links": [{"type": "dashboards", "title": "order-food", "tags": ["order-food"], "asDropdown": True, "includeVars": True, "keepTime": True}],
        "templating": {"list": [source, *variables, text("jaeger", JAEGER, "Jaeger")]},
        "annotations": {"list": []},
        "panels": panels,
    }
