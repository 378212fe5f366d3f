"""Migrations and loads: what they left in the APIs, and how their jobs fare."""

from panels import NAMESPACE, aggregate, dashboard, graph, quantile, rate, row, selector, stat, traces

STATEMENT = "db_client_operation_duration_seconds"
MIGRATIONS = (traces("database-migration", "migration.execute"),)
LOADS = (traces("database-load", "dataload.execute"),)
JOB = f'{NAMESPACE},job_name=~"database-load.*"'
INIT = f'{NAMESPACE},container=~"database-(migration|load)"'
CRON_JOB = f'{NAMESPACE},cronjob="database-load"'


def build() -> dict:
    """The dashboard."""
    return dashboard(
        "loads",
        "Loads and migrations",
        "What loads have published, as the APIs see it, and the jobs of Kubernetes. Each run of a migration or a load is one trace.",
        [
            stat("Products", "On the menu; the fewest of any process.", aggregate("min", "catalogue_items", 'kind="products"'), links=LOADS),
            stat("Keys", "API keys that are accepted.", aggregate("min", "catalogue_items", 'kind="api_keys"'), links=LOADS),
            stat("Promotions", "That are known.", aggregate("min", "catalogue_items", 'kind="promotions"'), links=LOADS),
            stat("Coupon codes", "Of the coupon files.", aggregate("min", "catalogue_items", 'kind="coupon_codes"'), links=LOADS),
            stat("Out of step", "Processes whose catalogue was not compared with the database for 10 s.", f"count(catalogue_age_seconds{selector()} > 10) or vector(0)", thresholds=((1, "red"),)),
            stat("Unready", "Processes that miss a migration or a load, or are draining.", f"count(ready{selector()} == 0) or vector(0)", thresholds=((1, "red"),), links=MIGRATIONS),
            row("What is loaded"),
            graph("In memory", "By kind; a load that changes something shows within a second. Processes that differ are apart.", {"{{kind}}": f"max by (kind) (catalogue_items{selector()})", "{{kind}}, fewest": f"min by (kind) (catalogue_items{selector()})"}, links=LOADS),
            graph("Changes", "How often what is in memory changed in size.", {"{{kind}}": f"sum by (kind) (changes(catalogue_items{selector()}[$__rate_interval]))"}, links=LOADS),
            graph("Words of a newer release", "Scopes and kinds of promotions that a process does not know and passes over.", {"{{kind}}": f"max by (kind) (catalogue_unknown_items{selector()})"}),
            graph("Age", "Seconds since it was last found in step with the database.", {"{{instance}}": f"catalogue_age_seconds{selector()}"}, unit="s"),
            graph("Reading it again", "Statements that read what loads publish.", {"{{db_collection_name}}": rate(f"{STATEMENT}_count", 'db_operation_name="SELECT",db_collection_name=~"change_counters|products|promotions|api_keys|coupon_codes"', "db_collection_name")}, unit="ops", links=(traces("order-food", "SELECT change_counters"),)),
            graph("Reading takes", "p99.", {"{{db_collection_name}}": quantile(0.99, STATEMENT, 'db_operation_name="SELECT",db_collection_name=~"products|promotions|api_keys|coupon_codes"', "db_collection_name")}, unit="s"),
            graph("Ready", "0: a migration or the first load is missing, or the process is draining.", {"{{instance}}": f"ready{selector()}"}, max=1, links=MIGRATIONS),
            row("Jobs on Kubernetes"),
            graph("Since the last good load", "By the CronJob. Two missed runs are 13 hours at the usual schedule.", {"{{namespace}}": f"time() - kube_cronjob_status_last_successful_time{{{CRON_JOB}}}"}, unit="s", links=LOADS),
            graph("Loads", "Jobs by outcome. A failed one never stops the API.", {"succeeded": f"sum(kube_job_status_succeeded{{{JOB}}})", "failed": f"sum(kube_job_failed{{{JOB},condition=\"true\"}})", "running": f"sum(kube_job_status_active{{{JOB}}})"}, links=LOADS),
            graph("Loads take", "From start to end, by job.", {"{{job_name}}": f"kube_job_status_completion_time{{{JOB}}} - kube_job_status_start_time{{{JOB}}}"}, unit="s", links=LOADS),
            graph("Before the start", "Restarts of the pods' init containers: a migration or a load that failed.", {"{{pod}} {{container}}": f"increase(kube_pod_init_container_status_restarts_total{{{INIT}}}[$__rate_interval])"}, links=MIGRATIONS),
            graph("Waiting before the start", "Init containers that cannot begin, by reason.", {"{{pod}} {{container}} {{reason}}": f"kube_pod_init_container_status_waiting_reason{{{INIT}}} > 0"}, links=MIGRATIONS),
            graph("Next load", "In seconds.", {"{{namespace}}": f"kube_cronjob_next_schedule_time{{{CRON_JOB}}} - time()", "{{namespace}} suspended": f"kube_cronjob_spec_suspend{{{CRON_JOB}}}"}, unit="s"),
        ],
    )
