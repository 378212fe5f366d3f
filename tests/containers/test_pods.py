"""Pods as the chart makes them, run for real."""

from __future__ import annotations

import http.client
import json
import threading
import time

from machine import ORDER, VERSION, Clients, Database, Nginx, Pod, Podman, Postgres, moment, pod_template, price, render, status, wait_until

DEARER = "id,name,price,category\n1,Chicken Waffle,13.49,Waffle\n3,Blueberry Pancakes,9.99,Pancakes\n"


def test_a_pod_migrates_loads_serves_and_takes_an_order(
    podman: Podman, images: dict, chart: list[dict], database: Database
) -> None:
    pod = Pod(podman, "first", chart, "Deployment", database.url).start()
    pod.ready_at()
    migration, load, api = (pod.span(name) for name in ("database-migration", "database-load", "order-food"))
    assert migration[0] < migration[1] <= load[0] < load[1] <= api[0], "one after another"
    for name in ("database-migration", "database-load", "order-food"):
        container = pod.container(name)
        assert container["State"]["ExitCode"] == 0
        assert container["HostConfig"]["ReadonlyRootfs"]
        assert not container["EffectiveCaps"]
        assert container["Config"]["User"] == "65532:65532"
        assert container["HostConfig"]["Memory"] == 512 * 1024**2
    connection = http.client.HTTPConnection(pod.address, 8080, timeout=5)
    connection.request("POST", "/api/order", json.dumps(ORDER), {"api_key": "apitest", "Content-Type": "application/json"})
    answer = connection.getresponse()
    order = json.load(answer)
    connection.close()
    assert answer.status == 200
    assert database.sql(f"select count(*) from orders where id = '{order['id']}'") == "1"
    pod.remove()


def test_a_failing_migration_keeps_the_load_and_the_api_from_starting(
    podman: Podman, images: dict, database: Database
) -> None:
    chart = render({"database": {"waitSeconds": 1}})
    pod = Pod(podman, "blocked", chart, "Deployment", database.url.replace("/shop_", "/missing_"))
    assert pod.play().returncode != 0
    assert pod.container("database-migration")["State"]["ExitCode"] == 3
    for name in ("database-load", "order-food"):
        assert pod.span(name) == (0, 0), f"{name} was started"
    pod.remove()


def test_a_failing_load_keeps_the_api_from_starting(podman: Podman, images: dict, database: Database) -> None:
    chart = render({"data": {"files": {"products.csv": "id,name,price,category\n1,Waffle,dear,Waffle\n"}}})
    pod = Pod(podman, "unloaded", chart, "Deployment", database.url)
    assert pod.play().returncode != 0
    assert pod.container("database-migration")["State"]["ExitCode"] == 0
    assert pod.container("database-load")["State"]["ExitCode"] == 4
    assert pod.span("order-food") == (0, 0), "the API was started"
    pod.remove()


def test_a_pod_on_a_migrated_database_is_soon_ready(
    podman: Podman, images: dict, chart: list[dict], database: Database
) -> None:
    first = Pod(podman, "migrates", chart, "Deployment", database.url).start()
    first.ready_at()
    own = []
    for number in range(3):
        pod = Pod(podman, f"soon-{number}", chart, "Deployment", database.url)
        ready: list[float] = []
        # Asks from before it starts.
        watch = threading.Thread(target=lambda: ready.append(pod.ready_at()))
        watch.start()
        pod.start()
        watch.join()
        migration, load, api = (pod.span(name) for name in ("database-migration", "database-load", "order-food"))
        # Without what podman takes from the end of one container to the start of the next.
        own.append(migration[1] - migration[0] + load[1] - load[0] + ready[0] - api[0])
        pod.remove()
    first.remove()
    assert max(own) <= 2


def test_the_cronjob_refreshes_the_menu_of_running_apis(
    podman: Podman, images: dict, chart: list[dict], database: Database, nginx: Nginx
) -> None:
    pods = [Pod(podman, f"served-{number}", chart, "Deployment", database.url).start() for number in range(2)]
    for pod in pods:
        pod.ready_at()
    started = [pod.span("order-food") for pod in pods]
    assert [price(pod.address, "1") for pod in pods] == [12.99, 12.99]
    nginx.serve(pods)
    changed = render({"data": {"files": {"products.csv": DEARER}}})
    assert "args" not in pod_template(changed, "CronJob")["spec"]["containers"][0], "the loader's ordinary command"
    with Clients("127.0.0.1", nginx.port, orders=False) as clients:
        wait_until(lambda: clients.answered > 50, 10, "load")
        job = Pod(podman, "periodic", changed, "CronJob", database.url).start()
        assert podman("wait", "periodic-database-load") == "0", job.logs()
        ended = time.time()
        wait_until(lambda: all(price(pod.address, "1") == 13.49 for pod in pods), 10, "the new price on both")
        taken = time.time() - ended
        before = clients.answered
        wait_until(lambda: clients.answered > before + 50, 10, "load")
    assert clients.failed == []
    assert [pod.span("order-food") for pod in pods] == started, "an API was started again"
    assert taken <= 5
    assert status(pods[0].address, "/api/product/2") == 404, "a product that is no longer in the file is off the menu"
    for pod in [*pods, job]:
        pod.remove()


def test_a_rolling_replacement_behind_a_proxy_fails_no_request(
    podman: Podman, images: dict, chart: list[dict], database: Database, nginx: Nginx
) -> None:
    pre_stop = pod_template(chart, "Deployment")["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    serving = [Pod(podman, f"old-{number}", chart, "Deployment", database.url).start() for number in range(2)]
    for pod in serving:
        pod.ready_at()
    nginx.serve(serving)
    stops = []
    with Clients("127.0.0.1", nginx.port) as clients:
        wait_until(lambda: clients.answered > 100, 10, "load")
        # As a Deployment with maxSurge 1 and maxUnavailable 0: one more, then one less.
        for number in range(2):
            new = Pod(podman, f"new-{number}", chart, "Deployment", database.url).start()
            new.ready_at()
            old, *rest = serving
            serving = [*rest, new]
            nginx.serve([old, *serving])
            # Told to go, a pod leaves the balancer while preStop sleeps, and only then gets SIGTERM.
            asked = time.monotonic()
            nginx.serve(serving)
            time.sleep(max(0, asked + pre_stop - time.monotonic()))
            stops.append(old.terminate())
            old.remove()
        before = clients.answered
        wait_until(lambda: clients.answered > before + 100, 10, "load")
    assert clients.failed == []
    assert [code for code, _ in stops] == [0, 0]
    assert max(seconds for _, seconds in stops) <= 10
    ids = ",".join(f"'{order}'" for order in clients.accepted)
    assert len(clients.accepted) > 100
    assert database.sql(f"select count(*) from orders where id in ({ids})") == str(len(clients.accepted))
    for pod in serving:
        pod.remove()


def test_jobs_end_at_once_when_told_to(podman: Podman, images: dict, postgres: Postgres, database: Database) -> None:
    run = ("run", "--detach", "--network", podman.network, "--read-only", "--cap-drop", "all")
    closed = "postgres://shop@127.0.0.1:9/shop?sslmode=disable"
    stops = []

    def ends(container: str) -> float:
        sent = time.time()
        podman("kill", "--signal", "TERM", container)
        assert podman("wait", container) == "143"
        taken = moment_of_end(podman, container) - sent
        podman("rm", container)
        return taken

    # While they wait for a database that is away.
    for image in ("database-migration", "database-load"):
        container = podman(*run, "--env", f"DATABASE_URL={closed}", f"{image}:{VERSION}")
        wait_until(lambda: "not reachable yet" in log(podman, container), 10, f"{image} waits")
        stops.append(ends(container))
    # While a statement waits for a lock in the database.
    url = ("--env", f"DATABASE_URL={database.url}")
    podman("run", "--rm", *run[2:], *url, f"database-migration:{VERSION}")
    with postgres.holding(database.name, "lock table products in access exclusive mode"):
        container = podman(*run, *url, f"database-load:{VERSION}")
        waiting = f"select count(*) from pg_stat_activity where datname = '{database.name}' and wait_event_type = 'Lock'"
        wait_until(lambda: postgres.sql("postgres", waiting) != "0", 10, "the load waits for the lock")
        stops.append(ends(container))
    assert database.sql("select count(*) from products") == "0", "the load was not rolled back"
    assert max(stops) <= 1


def log(podman: Podman, container: str) -> str:
    done = podman.run("logs", container)
    return done.stdout + done.stderr


def moment_of_end(podman: Podman, container: str) -> float:
    return moment(podman.inspect(container)["State"]["FinishedAt"])
