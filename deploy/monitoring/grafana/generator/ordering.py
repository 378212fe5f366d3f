"""Orders: how many, for how much, why not, and how they are written."""

from panels import dashboard, graph, heatmap, mean, quantile, rate, row, share, stat, total, traces

DURATION = "http_server_request_duration_seconds"
ORDER = 'http_request_method="POST",http_route="/api/order"'
ORDERS = (traces("order-food", "POST /api/order"),)
FAILED = (traces("order-food", "POST /api/order", '{"error":"true"}'),)
WRITES = (traces("order-food", "order.write"),)


def build() -> dict:
    """The dashboard."""
    return dashboard(
        "ordering",
        "Ordering",
        "What the shop sells, what it refuses and why, and how orders reach the database.",
        [
            stat("Orders a minute", "Stored; repetitions are not counted.", f"60 * {rate('orders_placed_total')}", decimals=1),
            stat("Turnover an hour", "Totals of stored orders.", f"36 * {rate('order_value_cents_sum')}", decimals=2),
            stat("Mean order", "In the currency.", f"{mean('order_value_cents')} / 100", decimals=2),
            stat(
                "Refused", "Share of requests to order that were not answered with 200.",
                share(rate("orders_refused_total"), rate(f"{DURATION}_count", ORDER)), unit="percentunit",
            ),
            stat("p99", "Of POST /api/order.", quantile(0.99, DURATION, ORDER), unit="s", thresholds=((0.25, "orange"), (1, "red"))),
            stat("Waiting", "Share of the queue in use.", f"{total('order_queue_orders')} / {total('order_queue_capacity_orders')}", unit="percentunit", thresholds=((0.5, "orange"), (0.8, "red"))),
            row("Orders"),
            graph("Orders", "Stored, and answered from an earlier one with the same idempotency key.", {"placed": rate("orders_placed_total"), "replayed": rate("orders_replayed_total")}, unit="cps", links=ORDERS),
            graph("Answers", "Of POST /api/order, by status.", {"{{http_response_status_code}}": rate(f"{DURATION}_count", ORDER, "http_response_status_code")}, unit="reqps", stacked=True, links=ORDERS),
            graph("Refusals", "By the reason in the answer; docs/ordering.md says what each means.", {"{{reason}}": rate("orders_refused_total", by="reason")}, unit="cps", stacked=True, links=FAILED),
            heatmap("Value", "Totals of orders in hundredths of the currency.", "order_value_cents", unit="short"),
            graph("Turnover", "In the currency, a second.", {"turnover": f"{rate('order_value_cents_sum')} / 100"}),
            graph(
                "Codes", "What became of coupon codes: promotion, corpus (a code of the files), or why they were refused.",
                {"{{outcome}}": rate("coupon_decisions_total", by="outcome")}, unit="cps", stacked=True, links=ORDERS,
            ),
            row("How orders are written"),
            graph(
                "Duration", "Of POST /api/order.",
                {name: quantile(q, DURATION, ORDER) for name, q in (("median", 0.5), ("p90", 0.9), ("p99", 0.99))}, unit="s", links=ORDERS,
            ),
            heatmap("Orders in a transaction", "One while there is little to do; more under load.", "order_write_batch_orders", unit="short"),
            graph("Wait", "How long orders waited for their transaction to begin.", {"median": quantile(0.5, "order_write_wait_seconds"), "p99": quantile(0.99, "order_write_wait_seconds")}, unit="s", links=WRITES),
            graph("Transactions", "With orders, by outcome.", {"{{outcome}}": rate("order_write_duration_seconds_count", by="outcome")}, unit="cps", links=WRITES),
            graph("Transactions take", "p99, by outcome.", {"{{outcome}}": quantile(0.99, "order_write_duration_seconds", by="outcome")}, unit="s", links=WRITES),
            graph(
                "Queue", "Orders that wait, and writers with a connection; without one, orders are refused.",
                {"waiting": total("order_queue_orders"), "writers": total("order_writers_connected")},
            ),
            graph(
                "Not replicated", "Orders that are stored, and that no commit in time showed to be on a standby; their clients were answered outcome_unknown.",
                {"{{instance}}": rate("orders_unconfirmed_total", by="instance")}, unit="cps", links=WRITES,
            ),
        ],
    )
