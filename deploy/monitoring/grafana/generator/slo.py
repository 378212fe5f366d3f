"""Objectives of ordering: how much of the error budget is left, and how fast it goes."""

from panels import OF_THE_API, dashboard, graph, row, selector, stat, text, traces

COUNT = "http_server_request_duration_seconds_count"
BUCKET = "http_server_request_duration_seconds_bucket"
ORDER = 'http_request_method="POST",http_route="/api/order"'
FAILED = f'{ORDER},http_response_status_code=~"5.."'
# Fast is what falls into this bucket; refusals are fast and say nothing.
GOOD = f'{ORDER},http_response_status_code="200"'
FAST = f'{GOOD},le="0.25"'
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
ORDERS = (traces("order-food", "POST /api/order"),)
FAILURES = (traces("order-food", "POST /api/order", '{"error":"true"}'),)

def grown(metric: str, labels: str, window: str) -> str:
    """By how much a counter grew."""
    return f"sum(increase({metric}{selector(labels)}[{window}]))"

def unavailable(window: str) -> str:
    """The share of orders that were answered with 5xx."""
    return f"(({grown(COUNT, FAILED, window)} or vector(0)) / {grown(COUNT, ORDER, window)})"

def slow(window: str) -> str:
    """The share of stored orders that took longer than a quarter of a second."""
    return f"(1 - {grown(BUCKET, FAST, window)} / {grown(COUNT, GOOD, window)})"

def left(bad: str, objective: str) -> str:
    """The share of the error budget that is left."""
    return f"1 - {bad} / (1 - {objective} / 100)"

def objective(name: str, title: str, bad: object, links: tuple[dict, ...]) -> list[dict]:
    """The panels of one objective."""
    budget = f"(1 - ${name} / 100)"
    colors = ((0, "red"), (0.25, "orange"), (0.5, "green"))
    return [
        row(title),
        stat("Kept", f"In the time shown; the objective is ${name} %.", f"1 - {bad('$__range')}", unit="percentunit", decimals=3, width=6, height=8),
        stat("Budget left", "Share of what may go wrong in the time shown.", left(bad("$__range"), f"${name}"), unit="percentunit", decimals=1, width=6, height=8, thresholds=colors),
        graph(
            "Burn rate", "1 uses the budget up exactly in the period of the objective. Alerts: 14.4 over 1 h, 6 over 6 h, 3 over 1 d, 1 over 3 d, each also over the window before it.",
            {window: f"{bad(window)} / {budget}" for window in WINDOWS}, width=12, links=links,
        ),
    ]

def build() -> dict:
    """The dashboard."""
    return dashboard(
        "slo",
        "SLO",
        "Objectives of ordering. Availability: POST /api/order is not answered with 5xx. Latency: a stored order is answered within 0.25 s.",
        [*objective("availability", "Availability", unavailable, FAILURES), *objective("latency", "Latency", slow, ORDERS)],
        # The chart puts in its own, in this order: what it writes never ends in .0.
        (*OF_THE_API, text("availability", "99.9", "Availability, %"), text("latency", "99.0", "Latency, %")),
        span="30d",
    )
