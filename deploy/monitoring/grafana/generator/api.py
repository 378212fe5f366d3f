"""The API: rate, errors and duration of each route, and how full its processes are."""

from panels import API, dashboard, graph, quantile, rate, row, selector, share, stat, total, traces

DURATION = "http_server_request_duration_seconds"
ROUTE = "http_request_method, http_route"
OF_A_ROUTE = "{{http_request_method}} {{http_route}}"
FAILED = 'http_response_status_code=~"5.."'
# A series' labels name the operation of its traces.
TRACES = (traces("order-food", "${__field.labels.http_request_method:percentencode}%20${__field.labels.http_route:percentencode}"),)


def build() -> dict:
    """The dashboard."""
    return dashboard(
        "api",
        "API",
        "Rate, errors and duration of each route, and saturation.",
        [
            stat("Ready", "Processes whose /readyz answers 200.", total("ready")),
            stat("Requests a second", "Of all routes.", rate(f"{DURATION}_count"), unit="reqps"),
            stat(
                "Failed", "Share of requests answered with 5xx.",
                share(rate(f"{DURATION}_count", FAILED), rate(f"{DURATION}_count")), unit="percentunit", thresholds=((0.001, "orange"), (0.01, "red")),
            ),
            stat("p99", "99 of 100 answers are faster.", quantile(0.99, DURATION), unit="s", thresholds=((0.25, "orange"), (1, "red"))),
            stat("Panics", "Handlers that panicked in the time shown; each was answered with 500.", f"sum(increase(panics_total{selector()}[$__range]))", thresholds=((1, "red"),)),
            stat("Versions", "In use; more than one while a rollout goes on.", f"count(count by (version) (build_info{selector()}))", thresholds=((2, "orange"),)),
            row("Requests, errors, duration"),
            graph("Requests", "By route.", {OF_A_ROUTE: rate(f"{DURATION}_count", by=ROUTE)}, unit="reqps", links=TRACES),
            graph(
                "Answers with 4xx and 5xx", "By route and status. 499: the client did not wait.",
                {OF_A_ROUTE + " {{http_response_status_code}}": rate(f"{DURATION}_count", 'http_response_status_code=~"[45].."', f"{ROUTE}, http_response_status_code")},
                unit="reqps", links=TRACES,
            ),
            graph(
                "Failed", "Share of each route's requests answered with 5xx.",
                {OF_A_ROUTE: f"{rate(f'{DURATION}_count', FAILED, ROUTE)} / {rate(f'{DURATION}_count', by=ROUTE)}"}, unit="percentunit", links=TRACES,
            ),
            graph("Median", "By route.", {OF_A_ROUTE: quantile(0.5, DURATION, by=ROUTE)}, unit="s", links=TRACES),
            graph("p99", "By route.", {OF_A_ROUTE: quantile(0.99, DURATION, by=ROUTE)}, unit="s", links=TRACES),
            graph(
                "Bytes", "Bodies received and sent.",
                {"received": rate("http_server_request_body_size_bytes_sum"), "sent": rate("http_server_response_body_size_bytes_sum")}, unit="Bps",
            ),
            row("Saturation"),
            graph("Under way", "Requests by method.", {"{{http_request_method}}": f"{total('http_server_active_requests', by='http_request_method')} > 0"}),
            graph("CPU", "Cores that each process uses.", {"{{instance}}": rate("process_cpu_seconds_total", by="instance")}),
            graph("Memory", "Resident. Growth under even traffic is a leak.", {"{{instance}}": f"process_resident_memory_bytes{selector()}"}, unit="bytes"),
            graph(
                "Open files", "Connections are files too.",
                {"{{instance}}": f"process_open_fds{selector()}", "{{instance}} limit": f"process_max_fds{selector()}"},
            ),
            graph(
                "Tasks", "On the runtime that writes orders and follows the database; those that wait for a thread.",
                {"alive": total("tokio_alive_tasks"), "waiting": total("tokio_global_queue_tasks"), "threads": total("tokio_workers")},
            ),
            graph("Threads", "Of the operating system.", {"{{instance}}": f"process_threads{selector()}"}),
            row("What it says"),
            graph("Log lines", "Of level warn and error.", {"{{level}}": rate("log_lines_total", by="level")}, unit="cps", links=(traces("order-food", tags='{"error":"true"}'),)),
            graph(
                "Lost lines and spans", "Log lines that nobody took in time; spans that the collector did not take, or for which there was no room.",
                {"log lines": rate("log_lines_dropped_total"), "spans {{outcome}}": rate("trace_spans_total", 'outcome!="exported"', "outcome")}, unit="cps",
            ),
            graph(
                "Wrong addresses", "Requests whose X-Forwarded-For has something else than an address where the client's should be.",
                {"{{instance}}": rate("forwarded_addresses_invalid_total", by="instance")}, unit="cps",
            ),
            graph("Versions", "Processes by version: two while a rollout goes on.", {"{{version}}": f"count by (version) (build_info{{{API}}})"}, stacked=True),
        ],
    )
