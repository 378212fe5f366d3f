"""The database as the API sees it."""

from panels import dashboard, graph, quantile, rate, row, selector, stat, total, traces

STATEMENT = "db_client_operation_duration_seconds"
BY = "db_operation_name, db_collection_name"
LEGEND = "{{db_operation_name}} {{db_collection_name}}"
POOL = "db_client_connection_pool_name"
USED = 'db_client_connection_state="used"'
# The pool of the writers is full whenever orders are written.
READERS = 'db_client_connection_pool_name!="writer"'
# A series' labels name the operation of its traces.
TRACES = (traces("order-food", "${__field.labels.db_operation_name:percentencode}%20${__field.labels.db_collection_name:percentencode}"),)


def build() -> dict:
    """The dashboard."""
    return dashboard(
        "database",
        "Database and pool",
        "Statements, connections, and whether the database answers.",
        [
            stat("Down", "Processes whose database did not answer when last asked.", f"count(database_up{selector()} == 0) or vector(0)", thresholds=((1, "red"),)),
            stat("Statements a second", "Of all processes.", rate(f"{STATEMENT}_count"), unit="ops"),
            stat("p99", "Of a statement, its wait for a connection included.", quantile(0.99, STATEMENT), unit="s", thresholds=((0.1, "orange"), (1, "red"))),
            stat(
                "Fullest pool", "Used connections of those allowed, without the writers'.",
                f"max({total('db_client_connections', f'{USED},{READERS}', 'instance')} / {total('db_client_connection_max', READERS, 'instance')})",
                unit="percentunit", thresholds=((0.8, "orange"), (1, "red")),
            ),
            stat("Writers", "With a connection; at least one for each process.", total("order_writers_connected")),
            stat("Catalogue's age", "Seconds since menu, keys, promotions and codes were last found in step; the oldest.", f"max(catalogue_age_seconds{selector()})", unit="s", thresholds=((10, "orange"), (60, "red"))),
            row("Statements"),
            graph("Statements", "By table.", {LEGEND: rate(f"{STATEMENT}_count", by=BY)}, unit="ops", links=TRACES),
            graph("p99", "By table; the wait for a connection is part of it.", {LEGEND: quantile(0.99, STATEMENT, by=BY)}, unit="s", links=TRACES),
            graph("Failed", "By table and error.", {LEGEND + " {{error_type}}": rate(f"{STATEMENT}_count", 'error_type!=""', f"{BY}, error_type")}, unit="ops", links=TRACES),
            graph("Time spent", "Seconds a second: above the number of connections, statements wait.", {LEGEND: rate(f"{STATEMENT}_sum", by=BY)}, stacked=True, links=TRACES),
            row("Connections"),
            graph("In use", "By pool.", {"{{" + POOL + "}}": total("db_client_connections", USED, POOL)}),
            graph("Open and allowed", "By pool.", {"{{" + POOL + "}} open": total("db_client_connections", by=POOL), "{{" + POOL + "}} allowed": total("db_client_connection_max", by=POOL)}),
            graph("Answers", "1: the database answered when last asked, twice a second.", {"{{instance}}": f"database_up{selector()}"}, max=1),
            graph("State", "Processes by what they find: up, read_only, standby, pooled, replaced or down; docs/runbooks/DatabaseDown.md says what each means.", {"{{state}}": total("database_state", by="state")}, stacked=True),
            graph("Writers", "Without one, orders are refused with 503.", {"{{instance}}": f"order_writers_connected{selector()}"}),
        ],
    )
